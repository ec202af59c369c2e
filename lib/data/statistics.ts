import { throwIfAborted, VggError } from '../error.js'
import {
  type Callback,
  callback,
  instanceOf,
  integer,
  optional,
  readOptions,
  seed,
  unexpected,
  withDefault,
} from '../options.js'
import type { SkippedImage } from './batch.js'
import { type Dataset, datasetCheck } from './dataset.js'
import { sampleOf, subset } from './derived.js'
import { type ColourShift, colourShiftOf } from './images/colour.js'
import { batchesOf } from './loader.js'

/** Options of {@link statisticsOf}. */
export interface StatisticsOptions {
  /** Largest number of images to read: a random sample if there are more. Default: all images. */
  limit?: number | undefined
  /** Seed of the random sample. Default 0. */
  seed?: number | undefined
  /** Signal that stops the computation, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
  /**
   * Function that is called after each batch with the number of images read and their total number; a returned promise is
   * awaited.
   */
  onProgress?: Callback<[done: number, of: number]> | undefined
}

/** Statistics over all pixels of a dataset, in the scale 0 to 255. */
export interface Statistics {
  /** Mean of each channel, which the paper subtracts (Sect. 2.1). */
  readonly mean: number[]
  /** Covariance of the channels: [channels, channels], divided by the number of pixels, not by one less. */
  readonly covariance: number[][]
  /** Random colour shift for these images (Sect. 3.1), with the deviation 0.1 of Krizhevsky et al. Absent for grey images. */
  readonly colour?: ColourShift
  /** Number of images that were included. */
  readonly images: number
  /** The images that could not be read; `index` is the index in the dataset. */
  readonly unreadable: readonly SkippedImage[]
}

const checks = {
  limit: optional(integer(1)),
  seed: withDefault(seed, 0),
  signal: optional(instanceOf(AbortSignal)),
  onProgress: optional(callback<Callback<[done: number, of: number]>>()),
}

/** Images read at a time: 10 MB at the paper's size. */
const batch = 64

/**
 * Computes mean and covariance of the channels over all pixels of a dataset. Each image is read once. The sums are exact
 * integers, so the results do not depend on the order of the images, up to 10^11 pixels.
 *
 * @throws VggError INVALID_ARGUMENT, ABORTED, FILE_FORMAT if no image could be read; and the errors of `data.read`
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
    throwIfAborted(signal, 'The computation of the statistics')
    sums.add(await read.images.data())
    images += read.labels.length
    unreadable.push(...read.unreadable.map((image) => ({ ...image, index: chosen?.[image.index] ?? image.index })))
    await onProgress?.(images + unreadable.length, chosen?.length ?? data.count)
  }
  if (images === 0) throw noImageRead(unreadable)
  const pixels = images * data.height * data.width
  const covariance = sums.covariance(pixels)
  const colour = data.channels === 3 ? colourShiftOf(covariance) : undefined
  return { mean: sums.mean(pixels), covariance, ...(colour && { colour }), images, unreadable }
}

/**
 * Computes the mean of each channel over all pixels of a dataset, 0 to 255, which the paper subtracts (Sect. 2.1). The
 * images should have the network's size, because a padded border counts too. Reads each image once; {@link statisticsOf}
 * computes the colour shift in the same pass.
 *
 * @throws VggError the errors of {@link statisticsOf}
 */
export async function meanOf(data: Dataset): Promise<number[]> {
  return (await statisticsOf(data)).mean
}

function noImageRead(unreadable: readonly SkippedImage[]): VggError {
  const [first] = unreadable
  const found = `none of ${unreadable.length} could be read: ${first?.name}: ${first?.reason}`
  return new VggError('FILE_FORMAT', `Expected images for the statistics but ${found}`)
}

/** Sums of values and of products of two values: integers, exact in a double up to 2^53. */
class Sums {
  readonly #channels: number
  readonly #values: number[]
  /** Upper triangle with the diagonal, row by row. */
  readonly #products: number[]

  constructor(channels: number) {
    this.#channels = channels
    this.#values = new Array<number>(channels).fill(0)
    this.#products = new Array<number>((channels * (channels + 1)) / 2).fill(0)
  }

  /** Adds pixels: uint8, channels last. */
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
      const index = low * this.#channels - (low * (low - 1)) / 2 + high - low
      return (this.#products[index] ?? 0) / pixels - (mean[low] ?? 0) * (mean[high] ?? 0)
    }
    return mean.map((_, row) => mean.map((_, column) => entry(row, column)))
  }
}

/** 255 * 255 times this is below 2^31: the inner loops then compute in 31-bit integers, three times as fast. */
const pixelsAtOnce = 32768

interface PartSums {
  readonly values: readonly number[]
  readonly products: readonly number[]
}

function greySums(pixels: Uint8Array): PartSums {
  let [sum, product] = [0, 0]
  for (let index = 0; index < pixels.length; index++) {
    const value = pixels[index] ?? 0
    sum = (sum + value) | 0
    product = (product + value * value) | 0
  }
  return { values: [sum], products: [product] }
}

function colourSums(pixels: Uint8Array): PartSums {
  let [r, g, b, rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0, 0, 0, 0]
  for (let index = 0; index < pixels.length; index += 3) {
    const red = pixels[index] ?? 0
    const green = pixels[index + 1] ?? 0
    const blue = pixels[index + 2] ?? 0
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
