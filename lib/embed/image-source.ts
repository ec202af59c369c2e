import { createHash } from 'node:crypto'
import type { ImageBatch, SkippedImage } from '../data/batch.js'
import { identityOf } from '../data/cache/shard-folder.js'
import { type Dataset, imageBytes } from '../data/dataset.js'
import { subset } from '../data/derived.js'
import { evaluationSide, type PixelSize, rescaledSize, type SmallestSide } from '../data/images/crop.js'
import { decodeCrop, type PhotoSource, withImage } from '../data/images/decode.js'
import type { Decoding } from '../data/images/formats.js'
import { namedFault } from '../data/images/image.js'
import { batchesOf } from '../data/loader.js'
import { isOfImage } from '../data/sources/photo-dataset.js'
import type { PhotoList } from '../data/sources/photo-list.js'
import { messageOf } from '../error.js'
import { Tensor } from '../tensor.js'
import type { FeatureDescription } from './feature-description.js'

/** Images of one size that go through the network together. */
export interface Pass {
  readonly images: Tensor<'uint8'>
  /** Index of each image in its source. */
  readonly indices: ArrayLike<number>
  /** Position of their scale. */
  readonly scale: number
}

/** Images in an order, each at all scales. */
export interface ImageSource {
  readonly count: number
  readonly labels: Int32Array
  readonly classNames: readonly string[]
  readonly pixels: FeatureDescription['pixels']
  nameOf(index: number): string
  /** Text that differs if images differ. */
  identity(first: number, count: number): Promise<string>
  /** Reads images. Equal images give equal passes. @param failed is called for an image that cannot be read */
  passes(first: number, count: number, failed: (image: SkippedImage) => void): AsyncGenerator<Pass>
}

const rangeOf = (first: number, count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, position) => first + position)

/** Number of images of a size in a pass. */
export const perPass = ({ height, width }: PixelSize, batchPixels: number): number =>
  Math.max(1, Math.floor(batchPixels / (height * width)))

/** Images whose pixels are hashed at once. */
const hashedAtOnce = 64

/**
 * The images of a dataset, which all have one size.
 * @param files the files that its images are of; undefined if it has none
 * @param smallestSide that of the images before they were cropped; undefined if it is not known
 */
export function cropSource(
  data: Dataset,
  batchPixels: number,
  { files, smallestSide }: { files?: readonly PhotoSource[]; smallestSide?: SmallestSide } = {},
): ImageSource {
  const { height, width, channels, count, labels, classNames } = data
  return {
    ...{ count, labels, classNames },
    pixels: {
      channels,
      crop: [height, width],
      smallestSide: smallestSide === undefined ? null : evaluationSide(smallestSide),
    },
    nameOf: (index) => data.nameOf?.(index) ?? String(index),
    identity: (first, length) =>
      files === undefined ? hashOfPixels(data, first, length) : identityOfFiles(files, first, length),
    async *passes(first, length, failed) {
      const part = subset(data, rangeOf(first, length))
      const batches: AsyncGenerator<ImageBatch> = batchesOf(part, perPass(data, batchPixels))
      for await (const { images, indices, unreadable } of batches) {
        for (const one of unreadable) failed({ ...one, index: first + one.index })
        if (indices.length > 0) yield { images, indices: indices.map((index) => first + index), scale: 0 }
      }
    },
  }
}

async function hashOfPixels(data: Dataset, first: number, count: number): Promise<string> {
  const hash = createHash('sha256')
  for (let start = first; start < first + count; start += hashedAtOnce) {
    const some = rangeOf(start, Math.min(hashedAtOnce, first + count - start))
    const pixels = new Uint8Array(some.length * imageBytes(data))
    const failures = await data.read(some, pixels)
    hash.update(JSON.stringify(failures.map(({ position }) => position))).update(pixels)
  }
  return hash.digest('hex')
}

async function identityOfFiles(files: readonly PhotoSource[], first: number, count: number): Promise<string> {
  const hash = createHash('sha256')
  const identities = await Promise.all(files.slice(first, first + count).map(identityOf))
  // of a file that cannot be reached nothing is known: it is never the same
  for (const identity of identities) hash.update(identity ?? String(Math.random()))
  return hash.digest('hex')
}

/** How whole images are read. */
export interface DenseSettings extends Decoding {
  readonly scales: readonly number[]
  readonly channels: 1 | 3
  readonly onUnreadable: 'throw' | 'skip'
  /** Number of images decoded at once. */
  readonly workers: number
  readonly batchPixels: number
}

/** An image at one scale. */
interface Scaled extends PixelSize {
  readonly pixels: Uint8Array
}

/** Most bytes of images that wait for others of their size. */
const mostWaiting = 2 ** 28

/** The whole images of a list at each of the scales: the smaller side has that length. */
export function denseSource(list: PhotoList, settings: DenseSettings): ImageSource {
  const { channels, batchPixels } = settings
  return {
    count: list.sources.length,
    labels: list.labels,
    classNames: list.classNames,
    pixels: { channels, crop: null, smallestSide: null },
    nameOf: (index) => list.names[index] ?? String(index),
    identity: (first, count) => identityOfFiles(list.sources, first, count),
    async *passes(first, count, failed) {
      const groups = new Groups(channels, batchPixels)
      for await (const { index, read } of decodedInOrder(list, settings, first, count)) {
        if ('reason' in read) failed({ position: index - first, index, name: list.names[index] ?? '', ...read })
        else for (const [scale, scaled] of read.entries()) yield* groups.add(index, scale, scaled)
      }
      yield* groups.rest()
    },
  }
}

/** Images that wait until a pass is full. */
class Groups {
  readonly #waiting = new Map<string, { images: Scaled[]; indices: number[]; scale: number }>()
  readonly #channels: number
  readonly #batchPixels: number
  #bytes = 0

  constructor(channels: number, batchPixels: number) {
    this.#channels = channels
    this.#batchPixels = batchPixels
  }

  *add(index: number, scale: number, scaled: Scaled): Generator<Pass> {
    const key = `${scale} ${scaled.height} ${scaled.width}`
    const group = this.#waiting.get(key) ?? { images: [], indices: [], scale }
    this.#waiting.set(key, group)
    group.images.push(scaled)
    group.indices.push(index)
    this.#bytes += scaled.pixels.length
    if (group.images.length >= perPass(scaled, this.#batchPixels)) yield this.#take(key)
    if (this.#bytes > mostWaiting) yield* this.rest()
  }

  *rest(): Generator<Pass> {
    for (const key of [...this.#waiting.keys()]) yield this.#take(key)
  }

  #take(key: string): Pass {
    const { images = [], indices = [], scale = 0 } = this.#waiting.get(key) ?? {}
    this.#waiting.delete(key)
    const all = Buffer.concat(images.map(({ pixels }) => pixels))
    this.#bytes -= all.length
    const { height = 0, width = 0 } = images[0] ?? {}
    return { images: Tensor.from(all, [images.length, height, width, this.#channels]), indices, scale }
  }
}

/** An image at all scales, or why it could not be read. */
type Read = readonly Scaled[] | { readonly reason: string }

/** Decodes images, several at once, and returns them in order. */
async function* decodedInOrder(
  list: PhotoList,
  settings: DenseSettings,
  first: number,
  count: number,
): AsyncGenerator<{ readonly index: number; readonly read: Read }> {
  const running: Promise<Read>[] = []
  const begin = (index: number): void => {
    const read = decoded(list, index, settings)
    // awaited in its turn
    read.catch(() => undefined)
    running.push(read)
  }
  let next = first
  try {
    for (let index = first; index < first + count; index++) {
      while (next < first + count && running.length < settings.workers) begin(next++)
      const read = await (running.shift() as Promise<Read>)
      yield { index, read }
    }
  } finally {
    await Promise.allSettled(running)
  }
}

async function decoded(list: PhotoList, index: number, settings: DenseSettings): Promise<Read> {
  const { scales, channels, onUnreadable } = settings
  try {
    return await withImage(list.sources[index] ?? '', settings, async (image) => {
      const found: Scaled[] = []
      for (const scale of scales) {
        const size = rescaledSize(image.size, scale)
        const pixels = await decodeCrop(image, { ...size, top: 0, left: 0 }, { ...size, channels }, settings)
        found.push({ ...size, pixels })
      }
      return found
    })
  } catch (fault) {
    if (onUnreadable === 'throw' || !isOfImage(fault)) throw namedFault(fault, list.names[index] ?? '')
    return { reason: messageOf(fault) }
  }
}
