import type { Dataset } from './dataset.js'
import { statisticsOf } from './statistics.js'

/**
 * The mean of every channel over all pixels of all pictures, 0 to 255: what the paper subtracts (section 2.1).
 * Reads the whole dataset once; `statisticsOf` gives the colour shift besides, from the same reading.
 *
 * @throws VggError as `statisticsOf`
 */
export async function meanOf(data: Dataset): Promise<number[]> {
  return (await statisticsOf(data)).mean
}
