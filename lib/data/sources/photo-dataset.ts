import { throwIfAborted, VggError } from '../../error.js'
import type { Random } from '../../random.js'
import type { Augmented, Dataset, RandomReads, ReadFailure } from '../dataset.js'
import { type ColourShift, drawColourShift } from '../images/colour.js'
import {
  type CropBox,
  type CropOptions,
  centreCropBox,
  drawCropBox,
  type PixelSize,
  rescaledSize,
} from '../images/crop.js'
import { decodeCrop, type Image, type PhotoSource, withImage } from '../images/decode.js'
import { namedFault } from '../images/image.js'
import { checkedList, type PhotoList } from './photo-list.js'
import { type PhotoNetwork, type PhotoOptions, type PhotoSettings, readPhotoOptions } from './photo-options.js'

/** The random augmentation of one image. */
export interface Augmentation {
  readonly box: CropBox
  /** 1: mirrored. */
  readonly flip: number
  /** Absent if there is no random colour shift. */
  readonly shift?: readonly number[]
}

/**
 * Draws the augmentation of one image in this order: S, crop, flip, colour shift. The first three are drawn whatever the
 * options, so that switching one off does not change the others.
 *
 * @param size of the image in its file, upright
 */
function drawAugmentation(
  random: Random,
  size: PixelSize,
  cropOptions: CropOptions,
  colour?: ColourShift,
): Augmentation {
  const box = drawCropBox(random, size, cropOptions)
  const flip = random.next() >>> 31
  return { box, flip, ...(colour && { shift: drawColourShift(random, colour) }) }
}

/** What is random in the reads of such a dataset. An image of any size draws equally many numbers before its flip. */
function randomReadsOf({ sources }: PhotoList, settings: PhotoSettings): RandomReads {
  const { crop, cropOptions, flip, colour } = settings
  const { randomCrop, smallestSide } = cropOptions
  const takesSquares = crop.height === smallestSide && crop.width === smallestSide
  return {
    changes: [
      ...(randomCrop ? ['crop' as const] : []),
      ...(typeof smallestSide === 'number' ? [] : ['size' as const]),
      ...(colour === undefined ? [] : ['colour' as const]),
    ],
    ...(takesSquares && { cropsDiffer: (signal) => cropsDiffer(sources, settings, signal) }),
    ...(flip && {
      flips: (randoms) => Uint8Array.from(randoms, (random) => drawAugmentation(random, crop, cropOptions).flip),
    }),
  }
}

/** Number of images whose sizes are read at once. */
const sizesAtOnce = 64

/** Whether an image is larger than its crop after scaling. An unreadable image has no crops. */
async function cropsDiffer(
  sources: readonly PhotoSource[],
  settings: PhotoSettings,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { crop } = settings
  const isLarger = async ({ size }: Pick<Image, 'size'>) => {
    const { height, width } = rescaledSize(size, crop.height)
    return height > crop.height || width > crop.width
  }
  for (let first = 0; first < sources.length; first += sizesAtOnce) {
    throwIfAborted(signal, 'Reading the sizes of the images')
    const found = sources.slice(first, first + sizesAtOnce).map((source) =>
      withImage(source, settings, isLarger).catch((fault) => {
        if (isOfImage(fault)) return false
        throw fault
      }),
    )
    if ((await Promise.all(found)).includes(true)) return true
  }
  return false
}

/** Returns the crop box of the image at `position` of a read. Called once for each image, when its size is known. */
export type ChooseCropBox = (size: PixelSize, position: number) => CropBox

/** Writes one crop of each image into `into`; returns the images that could not be read, in order. */
export type ReadCrops = (
  indices: Int32Array,
  into: Uint8Array,
  choose: ChooseCropBox,
) => Promise<readonly ReadFailure[]>

/** A dataset of the images of a list, given a way to read their crops. It draws the augmentation. */
export function cropDataset(list: PhotoList, settings: PhotoSettings, readCrops: ReadCrops): Dataset {
  const { names, labels, classNames } = list
  const { crop, cropOptions, flip, colour } = settings
  const { channels } = crop

  async function readAugmented(indices: Int32Array, randoms: readonly Random[], into: Uint8Array): Promise<Augmented> {
    const flips = new Uint8Array(indices.length)
    const shifts = new Float32Array(indices.length * channels)
    const unreadable = await readCrops(indices, into, (size, position) => {
      const random = randoms[position]
      if (!random) throw new VggError('INTERNAL', `Expected a generator for image ${position} of the batch`)
      const drawn = drawAugmentation(random, size, cropOptions, colour)
      flips[position] = drawn.flip
      if (drawn.shift) shifts.set(drawn.shift, position * channels)
      return drawn.box
    })
    // An image whose decoding failed has been drawn for.
    for (const { position } of unreadable) {
      flips[position] = 0
      shifts.fill(0, position * channels, (position + 1) * channels)
    }
    return { ...(flip && { flip: flips }), ...(colour && { shift: shifts }), unreadable }
  }

  return {
    count: list.sources.length,
    ...crop,
    labels,
    classNames,
    read: (indices, into) => readCrops(indices, into, (size) => centreCropBox(size, cropOptions)),
    readAugmented,
    randomReads: randomReadsOf(list, settings),
    nameOf: (index) => names[index] ?? String(index),
  }
}

/**
 * A dataset of image files. An image is decoded at every read; several images are decoded at once.
 *
 * `read` returns images for evaluation: rescaled to S (the middle of its range), centre crop. `readAugmented` returns them
 * for training: S, crop, flip and colour shift are drawn from the image's generator, in this order.
 *
 * If an image cannot be read (missing, empty, damaged, truncated, of no allowed format, too large, too slow), a read
 * rejects with FILE_NOT_FOUND or FILE_FORMAT, path and reason, for the first such image in the order of the indices. With
 * `onUnreadable: 'skip'` it is listed in the result instead, and its pixels are 0.
 *
 * @param options a network alone stands for `{ net }`
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the numbers of sources, names and labels differ
 */
export function photoDataset(list: PhotoList, options: PhotoOptions | PhotoNetwork): Dataset {
  const settings = readPhotoOptions(options)
  const photos = checkedList(list)
  const reader = new PhotoReader(photos, settings)
  return cropDataset(photos, settings, (indices, into, choose) => reader.read(indices, into, choose))
}

/** Reads and decodes the image files of a list. */
export class PhotoReader {
  readonly #list: PhotoList
  readonly #settings: PhotoSettings
  readonly #reading: Semaphore
  readonly #decoding: Semaphore

  constructor(list: PhotoList, settings: PhotoSettings) {
    this.#list = list
    this.#settings = settings
    // Twice as many, since reading a file is mostly waiting.
    this.#reading = new Semaphore(2 * settings.workers)
    this.#decoding = new Semaphore(settings.workers)
  }

  /** Reads the images at `positions` of `indices`, in rising order, into the same positions of `into`. Default: all. */
  async read(
    indices: Int32Array,
    into: Uint8Array,
    choose: ChooseCropBox,
    positions: Iterable<number> = indices.keys(),
  ): Promise<ReadFailure[]> {
    const { crop, onUnreadable } = this.#settings
    const bytes = crop.height * crop.width * crop.channels
    const targetOf = (position: number) => into.subarray(position * bytes, (position + 1) * bytes)
    const rejects = (fault: unknown) => onUnreadable === 'throw' || !isOfImage(fault)
    const faults = new Map<number, unknown>()
    const running: Promise<void>[] = []
    let stopped = false
    for (const position of positions) {
      await this.#reading.acquire()
      // All earlier images have been started: the first fault is the same for any number of workers.
      if (stopped) {
        this.#reading.release()
        break
      }
      const decoded = this.#decode(indices[position] ?? -1, targetOf(position), (size) => choose(size, position))
      const ended = decoded
        .catch((fault) => {
          faults.set(position, fault)
          stopped ||= rejects(fault)
        })
        .finally(() => this.#reading.release())
      running.push(ended)
    }
    await Promise.all(running)
    const failures: ReadFailure[] = []
    for (const [position, fault] of [...faults].sort(([a], [b]) => a - b)) {
      const name = this.#list.names[indices[position] ?? -1] ?? ''
      if (rejects(fault)) throw namedFault(fault, name)
      failures.push({ position, name, reason: (fault as Error).message })
    }
    for (const { position } of failures) targetOf(position).fill(0)
    return failures
  }

  async #decode(index: number, into: Uint8Array, choose: (size: PixelSize) => CropBox): Promise<void> {
    await withImage(this.#list.sources[index] ?? '', this.#settings, async (image) => {
      const box = choose(image.size)
      await this.#decoding.acquire()
      try {
        await decodeCrop(image, box, this.#settings.crop, this.#settings, into)
      } finally {
        this.#decoding.release()
      }
    })
  }
}

/** Whether a fault is that of an unreadable image, which `skip` tolerates. */
export const isOfImage = (fault: unknown): boolean =>
  fault instanceof VggError && (fault.code === 'FILE_FORMAT' || fault.code === 'FILE_NOT_FOUND')

/** A counting semaphore. Waiting callers proceed in the order of their calls. */
class Semaphore {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(free: number) {
    this.#free = free
  }

  async acquire(): Promise<void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
