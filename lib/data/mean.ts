import type { Dataset } from './dataset.js'
import { statisticsOf } from './statistics.js'

/**
 * The mean of every channel over all pixels of all images, 0 to 255: what the paper subtracts (section 2.1). Take it of
 * images of the network's size: a border that is added afterwards has its share in the mean. Reads the whole dataset
 * once; `statisticsOf` gives the colour shift besides, from the same reading.
 *
 * @throws VggError as `statisticsOf`
 */
export async function meanOf(data: Dataset): Promise<number[]> {
  return (await statisticsOf(data)).mean
}
