import { availableParallelism } from 'node:os'
import { VggError } from '../../error.js'
import { boolean, type Check, integer, oneOf, optional, readOptions, unexpected, withDefault } from '../../options.js'
import type { Random } from '../../random.js'
import type { Augmented, Dataset, ReadFailure } from '../dataset.js'
import { type ColourShift, colourShiftCheck, drawColourShift } from '../images/colour.js'
import {
  type CropBox,
  type CropOptions,
  type CropSpec,
  centreCropBox,
  cropOptionsFrom,
  drawCropBox,
  type PixelSize,
  type SmallestSide,
} from '../images/crop.js'
import { decodeCrop, encodedBytes, openImage } from '../images/decode.js'
import { type DecodingOptions, decodingChecks } from '../images/formats.js'
import { channelsCheck, namedFault } from '../images/image.js'
import { checkedList, type PhotoList } from './photo-list.js'

/** How image files become images of one size (Sect. 3.1 of the paper). */
export interface PhotoOptions extends DecodingOptions {
  /** Side of the crop that the network receives, in pixels, or [height, width]. The paper's is 224. */
  crop: number | readonly [height: number, width: number]
  /**
   * The paper's S: the length in pixels to which the smallest side of an image is rescaled, or a range [least, most] from
   * which it is drawn for each image. At least the larger side of the crop. Default: 256/224 of that side.
   */
  smallestSide?: SmallestSide
  /** Number of channels: 1 (grey) or 3 (red, green, blue). Default 3. */
  channels?: 1 | 3
  /** Whether training takes crops at random offsets instead of the centre crop. Default true. */
  randomCrop?: boolean
  /** Whether training mirrors images at random, with probability 1/2. Default true. */
  flip?: boolean
  /** The random colour shift for training. Default: none. Requires 3 channels. */
  colour?: ColourShift
  /** Whether a read rejects if an image cannot be read (`throw`, the default), or skips the image and reports it. */
  onUnreadable?: 'skip' | 'throw'
  /**
   * Number of images decoded at once, over all reads together, 1 to 1024; it bounds the memory. As many more files are
   * read meanwhile. Default: the number of processors, at most the number of threads in libuv's pool, which decode the
   * images (4, or the environment variable UV_THREADPOOL_SIZE). A network computes on other threads, but on the same
   * processors.
   */
  workers?: number
}

/** Passes a value on, because cropOptionsFrom checks it. */
const unchecked: Check<unknown> = (value) => value

/** The number of threads in libuv's pool. */
function poolThreads(): number {
  const asked = Number(process.env.UV_THREADPOOL_SIZE)
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, 1024) : 4
}

/** The checks of {@link PhotoOptions}. */
export const photoChecks = {
  crop: unchecked,
  smallestSide: unchecked,
  channels: withDefault(channelsCheck, 3),
  randomCrop: unchecked,
  flip: withDefault(boolean, true),
  colour: optional(colourShiftCheck),
  onUnreadable: withDefault(oneOf('throw', 'skip'), 'throw'),
  ...decodingChecks,
  workers: withDefault(integer(1, 1024), Math.min(poolThreads(), availableParallelism())),
}

/**
 * Checks options and fills in their defaults.
 *
 * @throws VggError INVALID_ARGUMENT
 */
export function readPhotoOptions(options: PhotoOptions) {
  const given = readOptions(options, 'photoDataset options', photoChecks)
  const { channels, colour } = given
  if (colour !== undefined && channels === 1) throw unexpected('no colour shift of grey images', 'colour', colour)
  const cropOptions = cropOptionsFrom(given)
  const [height, width] = cropOptions.crop
  const crop: CropSpec = { height, width, channels }
  return { ...given, crop, cropOptions }
}

/** {@link PhotoOptions} as read. */
export type PhotoSettings = ReturnType<typeof readPhotoOptions>

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
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the numbers of sources, names and labels differ
 */
export function photoDataset(list: PhotoList, options: PhotoOptions): Dataset {
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
    const image = await openImage(await encodedBytes(this.#list.sources[index] ?? '', this.#settings), this.#settings)
    const box = choose(image.size)
    await this.#decoding.acquire()
    try {
      await decodeCrop(image, box, this.#settings.crop, this.#settings, into)
    } finally {
      this.#decoding.release()
    }
  }
}

/** Whether a fault is that of an unreadable image, which `skip` tolerates. */
const isOfImage = (fault: unknown): boolean =>
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
