import { throwIfAborted, VggError } from '../error.js'
import { callback, instanceOf, integer, optional, readOptions, seed, unexpected, withDefault } from '../options.js'
import type { SkippedImage } from './batch.js'
import { type Dataset, datasetCheck } from './dataset.js'
import { type ColourShift, colourShiftOf } from './images/colour.js'
import { batchesOf } from './loader.js'
import { sampleOf, subset } from './split.js'

/** Of which images the statistics are taken. */
export interface StatisticsOptions {
  /** At most so many images, drawn by chance. Default: all of them. */
  limit?: number
  /** Which images are drawn where there are more than `limit`. Default 0. */
  seed?: number
  /** Ends it: it rejects with ABORTED. */
  signal?: AbortSignal
  /** Called now and then with the images gone through, of how many. */
  onProgress?: (done: number, of: number) => void
}

/** Of all pixels of the images, as `read` gives them, in the scale 0..255. */
export interface Statistics {
  /** Of each channel: what the paper subtracts (Sect. 2.1). */
  readonly mean: number[]
  /** channels x channels; divided by the number of pixels, not by one less. */
  readonly covariance: number[][]
  /** The random colour shift that fits (Sect. 3.1), with the article's deviation of 0.1. Absent for grey images. */
  readonly colour?: ColourShift
  /** Images that the figures are of. */
  readonly images: number
  /** Images that could not be read; `index` is their number in the data. */
  readonly unreadable: readonly SkippedImage[]
}

const checks = {
  limit: optional(integer(1)),
  seed: withDefault(seed, 0),
  signal: optional(instanceOf(AbortSignal)),
  onProgress: optional(callback<(done: number, of: number) => void>()),
}

/** Images read at a time: 10 MB of the paper's size. */
const batch = 64

/**
 * Mean and covariance of the channels over all pixels of a dataset; reads each image once.
 * Computed from whole numbers without rounding: the same doubles whatever the order, up to 10^11 pixels.
 *
 * @throws VggError INVALID_ARGUMENT, ABORTED, FILE_FORMAT where no image could be read; what `data.read` throws
 */
export async function statisticsOf(data: Dataset, options: StatisticsOptions = {}): Promise<Statistics> {
  const { limit, seed, signal, onProgress } = readOptions(options, 'statistics options', checks)
  datasetCheck(data, 'data')
  if (data.channels !== 1 && data.channels !== 3) throw unexpected('1 or 3', 'data.channels', data.channels)
  const chosen = limit === undefined || limit >= data.count ? undefined : sampleOf(data.count, limit, seed)
  const sums = new Sums(data.channels)
  const unreadable: SkippedImage[] = []
  let images = 0
  for await (const read of batchesOf(chosen ? subset(data, chosen) : data, batch)) {
    throwIfAborted(signal, 'The making of the statistics')
    sums.add(await read.images.data())
    images += read.labels.length
    unreadable.push(...read.unreadable.map((one) => ({ ...one, index: chosen?.[one.index] ?? one.index })))
    onProgress?.(images + unreadable.length, chosen?.length ?? data.count)
  }
  if (images === 0) throw nothingRead(unreadable)
  const pixels = images * data.height * data.width
  const covariance = sums.covariance(pixels)
  const colour = data.channels === 3 ? colourShiftOf(covariance) : undefined
  return { mean: sums.mean(pixels), covariance, ...(colour && { colour }), images, unreadable }
}

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

function nothingRead(unreadable: readonly SkippedImage[]): VggError {
  const [first] = unreadable
  const which = first ? `none of ${unreadable.length} could be read: ${first.name}: ${first.reason}` : 'there is none'
  return new VggError('FILE_FORMAT', `Expected images for the statistics but ${which}`)
}

/** Sums of values and of products of two: whole numbers, exact in a double up to 2^53. */
class Sums {
  readonly #channels: number
  readonly #values: number[]
  /** Above and on the diagonal, row after row. */
  readonly #products: number[]

  constructor(channels: number) {
    this.#channels = channels
    this.#values = new Array<number>(channels).fill(0)
    this.#products = new Array<number>((channels * (channels + 1)) / 2).fill(0)
  }

  /** @param pixels uint8, the channels of a pixel side by side */
  add(pixels: Uint8Array): void {
    const step = this.#channels * pixelsAtOnce
    for (let start = 0; start < pixels.length; start += step) {
      const part = pixels.subarray(start, start + step)
      const sums = this.#channels === 1 ? greySums(part) : colourSums(part)
      for (let i = 0; i < this.#values.length; i++) this.#values[i] = (this.#values[i] ?? 0) + (sums.values[i] ?? 0)
      for (let i = 0; i < this.#products.length; i++) {
        this.#products[i] = (this.#products[i] ?? 0) + (sums.products[i] ?? 0)
      }
    }
  }

  mean(pixels: number): number[] {
    return this.#values.map((sum) => sum / pixels)
  }

  covariance(pixels: number): number[][] {
    const mean = this.mean(pixels)
    const entry = (row: number, column: number) => {
      const [low, high] = row < column ? [row, column] : [column, row]
      const position = low * this.#channels - (low * (low - 1)) / 2 + high - low
      return (this.#products[position] ?? 0) / pixels - (mean[low] ?? 0) * (mean[high] ?? 0)
    }
    return mean.map((_, row) => mean.map((_, column) => entry(row, column)))
  }
}

/** 255 * 255 times this stays below 2^31: the inner loops compute in small integers, three times as fast. */
const pixelsAtOnce = 32768

interface PartSums {
  readonly values: readonly number[]
  readonly products: readonly number[]
}

function greySums(pixels: Uint8Array): PartSums {
  let [sum, product] = [0, 0]
  for (let position = 0; position < pixels.length; position++) {
    const value = pixels[position] ?? 0
    sum = (sum + value) | 0
    product = (product + value * value) | 0
  }
  return { values: [sum], products: [product] }
}

function colourSums(pixels: Uint8Array): PartSums {
  let [r, g, b, rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0, 0, 0, 0]
  for (let position = 0; position < pixels.length; position += 3) {
    const red = pixels[position] ?? 0
    const green = pixels[position + 1] ?? 0
    const blue = pixels[position + 2] ?? 0
    r = (r + red) | 0
    g = (g + green) | 0
    b = (b + blue) | 0
    rr = (rr + red * red) | 0
    rg = (rg + red * green) | 0
    rb = (rb + red * blue) | 0
    gg = (gg + green * green) | 0
    gb = (gb + green * blue) | 0
    bb = (bb + blue * blue) | 0
  }
  return { values: [r, g, b], products: [rr, rg, rb, gg, gb, bb] }
}
