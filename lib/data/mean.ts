import type { Dataset } from './dataset.js'
import { batchesOf } from './loader.js'

/**
 * The mean of every channel over all pixels of all pictures, 0 to 255: what the paper subtracts (section 2.1).
 * Reads the whole dataset once.
 */
export async function meanOf(data: Dataset): Promise<number[]> {
  const sums = new Array<number>(data.channels).fill(0)
  for await (const { images } of batchesOf(data, 256)) {
    const pixels = await images.data()
    for (let place = 0; place < pixels.length; place++) {
      const channel = place % data.channels
      sums[channel] = (sums[channel] ?? 0) + (pixels[place] ?? 0)
    }
  }
  return sums.map((sum) => sum / (data.count * data.height * data.width))
}
