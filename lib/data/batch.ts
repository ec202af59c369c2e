import { isObject, unexpected } from '../options.js'
import type { Random } from '../random.js'
import { Tensor } from '../tensor.js'
import { type Augmented, type Dataset, imageBytes, type ReadFailure } from './dataset.js'

/** An image that was skipped because it could not be read. `position` is its position in the requested batch. */
export interface SkippedImage extends ReadFailure {
  /** Index of the image in the dataset. */
  readonly index: number
}

/** A batch of images with their labels. */
export interface ImageBatch {
  /** The pixels: uint8 [n, height, width, channels], in memory allocated for this batch. n is 0 if no image was readable. */
  readonly images: Tensor<'uint8'>
  /** The class of each image: [n]. */
  readonly labels: Int32Array
  /** The index of each image in the dataset: [n]. */
  readonly indices: Int32Array
  /** The augmentation that the device applies to each image, in the form that `Network.step` takes. Absent: none. */
  readonly augment?: Pick<Augmented, 'flip' | 'shift'>
  /** The requested images that could not be read. They are not in `images`. */
  readonly unreadable: readonly SkippedImage[]
}

/** The random augmentation of a training batch. */
export interface AugmentationDraws {
  /** One random number generator for each image. */
  readonly randoms: readonly Random[]
  /** The translation of each image: [n, 2], rows down and columns to the right. Absent: none. */
  readonly offsets?: Int32Array | undefined
  /** Value of the pixels that a translation exposes, 0 to 255. */
  readonly background: number
  /** Whether images are mirrored at random, if the dataset draws no augmentation of its own. */
  readonly flip: boolean
}

/** Reads images by index: as evaluation takes them, or with `draws` augmented for training. */
export async function readImages(data: Dataset, indices: Int32Array, draws?: AugmentationDraws): Promise<ImageBatch> {
  const { height, width, channels } = data
  const pixels = new Uint8Array(indices.length * imageBytes(data))
  const read =
    draws && data.readAugmented
      ? await data.readAugmented(indices, draws.randoms, pixels)
      : { unreadable: await data.read(indices, pixels), ...(draws?.flip && { flip: flipsOf(draws.randoms) }) }
  const { unreadable = [], ...augment } = checkedRead(read)
  const { offsets, background = 0 } = draws ?? {}
  const shape = [indices.length, height, width, channels]
  const shifted = offsets ? shiftImages(pixels, shape, offsets, background) : pixels
  const skipped = unreadable.map((failure) => ({ ...failure, index: indices[failure.position] ?? -1 }))
  const kept = new ReadableRows(indices.length, new Set(unreadable.map(({ position }) => position)))
  const images = Tensor.from(kept.of(shifted), [kept.count, height, width, channels])
  const { flip, shift } = augment
  const labels = indices.map((index) => data.labels[index] ?? -1)
  return {
    images,
    labels: kept.of(labels),
    indices: kept.of(indices),
    ...((flip || shift) && {
      augment: { ...(flip && { flip: kept.of(flip) }), ...(shift && { shift: kept.of(shift) }) },
    }),
    unreadable: skipped,
  }
}

/** What a dataset, which may be a program's own, has answered. @throws INVALID_ARGUMENT */
function checkedRead(read: unknown): Augmented {
  if (!isObject(read)) throw unexpected('an object', 'the result of readAugmented of the dataset', read)
  const { unreadable = [] } = read
  if (Array.isArray(unreadable) && unreadable.every(isObject)) return read
  throw unexpected('an array of the images that could not be read', 'the result of read of the dataset', unreadable)
}

/** A random flip for each image: 1 with probability 1/2. */
export const flipsOf = (randoms: readonly Random[]): Uint8Array =>
  Uint8Array.from(randoms, (random) => random.next() >>> 31)

/** Removes the rows of unreadable images from arrays that have one row of equal length for each image. */
class ReadableRows {
  readonly #rows: number
  readonly #removed: ReadonlySet<number>
  readonly count: number

  constructor(rows: number, removed: ReadonlySet<number>) {
    this.#rows = rows
    this.#removed = removed
    this.count = rows - removed.size
  }

  /** Returns the array itself if no row is removed; otherwise a view of its front, to which the other rows are moved. */
  of<A extends Uint8Array | Int32Array | Float32Array>(array: A): A {
    if (this.#removed.size === 0) return array
    const length = array.length / this.#rows
    let to = 0
    for (let row = 0; row < this.#rows; row++) {
      if (this.#removed.has(row)) continue
      array.copyWithin(to, row * length, (row + 1) * length)
      to += length
    }
    return array.subarray(0, to) as A
  }
}

/**
 * Translates each image by a whole number of pixels. Pixels that leave the image are lost.
 *
 * @param pixels uint8 [n, height, width, channels]
 * @param shape [n, height, width, channels]
 * @param offsets [n, 2]: rows down and columns to the right; negative values for up and left
 * @param background value of the exposed pixels, 0 to 255
 * @returns new memory of the same shape
 */
export function shiftImages(
  pixels: Uint8Array,
  shape: readonly number[],
  offsets: Int32Array,
  background: number,
): Uint8Array {
  const [images = 0, height = 0, width = 0, channels = 0] = shape
  const shifted = new Uint8Array(pixels.length).fill(background)
  const rowBytes = width * channels
  for (let image = 0; image < images; image++) {
    const down = offsets[2 * image] ?? 0
    const right = offsets[2 * image + 1] ?? 0
    const kept = Math.max(0, width - Math.abs(right)) * channels
    const from = Math.max(0, -right) * channels
    const to = Math.max(0, right) * channels
    for (let row = Math.max(0, down); row < Math.min(height, height + down); row++) {
      const source = (image * height + row - down) * rowBytes + from
      shifted.set(pixels.subarray(source, source + kept), (image * height + row) * rowBytes + to)
    }
  }
  return shifted
}
