import { availableParallelism } from 'node:os'
import { VggError } from '../../error.js'
import {
  arrayOf,
  boolean,
  type Check,
  integer,
  oneOf,
  optional,
  readOptions,
  unexpected,
  withDefault,
} from '../../options.js'
import type { Random } from '../../random.js'
import type { Augmented, Dataset, Unreadable } from '../dataset.js'
import { type ColourShift, colourShiftCheck, drawColourShift } from '../images/colour.js'
import {
  type CropBox,
  type CropSpec,
  centreCropBox,
  cropOptionsFrom,
  drawCropBox,
  type PixelSize,
  type SmallestSide,
} from '../images/crop.js'
import { decodeCrop, encodedBytes, openImage, type PhotoSource } from '../images/decode.js'
import { type DecodingOptions, decodingChecks } from '../images/formats.js'
import { channelsCheck, namedFault } from '../images/image.js'
import { stratifiedIndices } from '../split.js'

export type { PhotoSource } from '../images/decode.js'

/** Labelled image files, none of them opened yet. */
export interface PhotoList {
  /** Where each image comes from. */
  readonly sources: readonly PhotoSource[]
  /** What each image is called in messages and reports: its path. */
  readonly names: readonly string[]
  /** The class of each image, 0 to `classNames.length - 1`. */
  readonly labels: Int32Array
  /** One name for each class. */
  readonly classNames: readonly string[]
}

/** How image files become images of one size (Sect. 3.1 of the paper). */
export interface PhotoOptions extends DecodingOptions {
  /** Side of what the network sees, in pixels, or [height, width]: 224 in the paper. */
  crop: number | readonly [height: number, width: number]
  /**
   * The paper's S: the smallest side that images are rescaled to, or [least, most], to be drawn for each image.
   * At least the larger side of the crop. Default: 256/224 of it.
   */
  smallestSide?: SmallestSide
  /** 1: grey; 3 (default): red, green, blue. */
  channels?: 1 | 3
  /** In training, cut anywhere; otherwise the middle. Default true. */
  randomCrop?: boolean
  /** In training, mirror every second image, by chance. Default true. */
  flip?: boolean
  /** In training, shift the colours. Default: not. Of 3 channels only. */
  colour?: ColourShift
  /** What is done about an image that cannot be read: reject (default), or leave it out and say so. */
  onUnreadable?: 'skip' | 'throw'
  /**
   * Images decoded at once, over all reads together, while as many more files are read: what bounds the memory.
   * Default: one for each processor, but no more than libuv's pool has threads, each of which decodes an image: 4, or
   * what the environment variable UV_THREADPOOL_SIZE says. A network does not compute in that pool. On the CPU its threads (one for each
   * processor, passive while they wait) and the decoding ones are more than the processors, and share them by turns.
   */
  workers?: number
}

/** Read by cropOptionsFrom afterwards. */
const asGiven: Check<unknown> = (value) => value

/** Threads of libuv's pool: 4 unless the environment says otherwise. */
function poolThreads(): number {
  const asked = Number(process.env.UV_THREADPOOL_SIZE)
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, 1024) : 4
}

const checks = {
  crop: asGiven,
  smallestSide: asGiven,
  channels: withDefault(channelsCheck, 3),
  randomCrop: asGiven,
  flip: withDefault(boolean, true),
  colour: optional(colourShiftCheck),
  onUnreadable: withDefault(oneOf('throw', 'skip'), 'throw'),
  ...decodingChecks,
  workers: withDefault(integer(1, 1024), Math.min(poolThreads(), availableParallelism())),
}

/** @throws VggError INVALID_ARGUMENT */
export function readPhotoOptions(options: PhotoOptions) {
  const given = readOptions(options, 'photoDataset options', checks)
  const { channels, colour } = given
  if (colour !== undefined && channels === 1) throw unexpected('no colour shift of grey images', 'colour', colour)
  return { ...given, cropping: cropOptionsFrom(given) }
}

/** Lets so many through at once, the others wait in line. */
class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(free: number) {
    this.#free = free
  }

  async enter(): Promise<void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }

  async pass<Result>(body: () => Promise<Result>): Promise<Result> {
    await this.enter()
    try {
      return await body()
    } finally {
      this.leave()
    }
  }
}

/** Chooses the box of image `position` of a read, once its size is known. */
type ChooseCropBox = (size: PixelSize, position: number) => CropBox

/**
 * Images as a dataset: decoded whenever they are read, several at once, each from one reading of its file.
 *
 * `read` gives every image as evaluation sees it: rescaled to S (the middle of its range), the middle cut out.
 * `readAugmented` gives it as training does: S, crop, flip and colour shift are drawn from the image's own generator,
 * in this order and always all but the colours, so that to switch one off leaves the others as they are.
 *
 * An image that cannot be read (missing, empty, damaged, truncated, of no allowed format, too large, too slow) makes a read reject with
 * FILE_NOT_FOUND or FILE_FORMAT, path and reason; of several the first in the order asked for. With `skip` it is
 * returned among the unreadable, and its pixels are 0.
 *
 * @throws VggError INVALID_ARGUMENT, SHAPE_MISMATCH where sources, names and labels are not equally many
 */
export function photoDataset(list: PhotoList, options: PhotoOptions): Dataset {
  const given = readPhotoOptions(options)
  const { cropping, channels, flip, colour, onUnreadable, workers } = given
  const { sources, names, labels, classNames } = checkedList(list)
  const [height, width] = cropping.crop
  const crop: CropSpec = { height, width, channels }
  const bytes = height * width * channels
  // While some are decoded, as many others are read from their files, which takes little but waiting.
  const reading = new Gate(2 * workers)
  const decoding = new Gate(workers)

  /** Why there is no such image; undefined where it is in `into`. */
  async function faultOf(index: number, position: number, choose: ChooseCropBox, into: Uint8Array): Promise<unknown> {
    try {
      const image = await openImage(await encodedBytes(sources[index] ?? '', given), given)
      const box = choose(image.size, position)
      await decoding.pass(() => decodeCrop(image, box, crop, given, into))
      return undefined
    } catch (fault) {
      return fault
    }
  }

  async function readAll(indices: Int32Array, into: Uint8Array, choose: ChooseCropBox): Promise<Unreadable[]> {
    const faults = new Map<number, unknown>()
    const running: Promise<void>[] = []
    let stopped = false
    for (const [position, index] of indices.entries()) {
      await reading.enter()
      // All before `position` have begun: the first of the faults is the same whatever the workers.
      if (stopped) {
        reading.leave()
        break
      }
      const target = into.subarray(position * bytes, (position + 1) * bytes)
      running[position] = faultOf(index, position, choose, target).then((fault) => {
        reading.leave()
        if (fault === undefined) return
        faults.set(position, fault)
        stopped ||= onUnreadable === 'throw' || !isOfImage(fault)
      })
    }
    await Promise.all(running)
    const inOrder = [...faults].sort(([a], [b]) => a - b)
    const named = inOrder.map(([position, fault]) => ({ position, name: names[indices[position] ?? -1] ?? '', fault }))
    const reason = stopped ? named.find(({ fault }) => onUnreadable === 'throw' || !isOfImage(fault)) : undefined
    if (reason !== undefined) throw namedFault(reason.fault, reason.name)
    for (const { position } of named) into.fill(0, position * bytes, (position + 1) * bytes)
    return named.map(({ position, name, fault }) => ({ position, name, reason: (fault as Error).message }))
  }

  async function readAugmented(indices: Int32Array, randoms: readonly Random[], into: Uint8Array): Promise<Augmented> {
    const flips = new Uint8Array(indices.length)
    const shifts = new Float32Array(indices.length * channels)
    const unreadable = await readAll(indices, into, (size, position) => {
      const random = randoms[position]
      if (random === undefined)
        throw new VggError('INTERNAL', `Expected a generator for image ${position} of the batch`)
      const box = drawCropBox(random, size, cropping)
      flips[position] = random.next() >>> 31
      if (colour !== undefined) shifts.set(drawColourShift(random, colour), position * channels)
      return box
    })
    // One that failed while it was decoded had drawn already.
    for (const { position } of unreadable) {
      flips[position] = 0
      shifts.fill(0, position * channels, (position + 1) * channels)
    }
    return { ...(flip && { flip: flips }), ...(colour && { shift: shifts }), unreadable }
  }

  return {
    count: sources.length,
    height,
    width,
    channels,
    labels,
    classNames,
    read: (indices, into) => readAll(indices, into, (size) => centreCropBox(size, cropping)),
    readAugmented,
    nameOf: (index) => names[index] ?? String(index),
  }
}

/** Whether a fault is one that `skip` passes over. */
const isOfImage = (fault: unknown): boolean =>
  fault instanceof VggError && (fault.code === 'FILE_FORMAT' || fault.code === 'FILE_NOT_FOUND')

const sourceCheck: Check<PhotoSource> = (value, name) => {
  const fits = typeof value === 'string' || typeof value === 'function' || value instanceof Uint8Array
  if (fits) return value as PhotoSource
  throw unexpected('a path, bytes or a function that gives bytes', name, value)
}

const stringCheck: Check<string> = (value, name) => {
  if (typeof value === 'string') return value
  throw unexpected('a string', name, value)
}

function checkedList(list: PhotoList): PhotoList {
  const sources = arrayOf(sourceCheck)(list?.sources, 'sources')
  const names = arrayOf(stringCheck)(list.names, 'names')
  const classNames = arrayOf(stringCheck)(list.classNames, 'classNames')
  if (sources.length === 0) throw unexpected('at least one image', 'sources', sources)
  const count = sources.length
  if (names.length !== count || list.labels?.length !== count) {
    const message = `Expected a name and a label for each of ${count} images but received ${names.length} names and ${list.labels?.length} labels`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const label = integer(0, classNames.length - 1)
  const labels = Int32Array.from(list.labels, (value, index) => label(value, `labels[${index}]`))
  return { sources, names, labels, classNames }
}

/** The images of a list with these indices, in this order. */
export function selectPhotos(list: PhotoList, indices: Int32Array): PhotoList {
  const chosen = Array.from(indices, (index) => integer(0, list.sources.length - 1)(index, 'indices'))
  return {
    sources: chosen.map((index) => list.sources[index] ?? ''),
    names: chosen.map((index) => list.names[index] ?? ''),
    labels: indices.map((index) => list.labels[index] ?? -1),
    classNames: list.classNames,
  }
}

/** Images in two parts that share none. */
export interface PhotoParts {
  /** What a network learns from. */
  readonly training: PhotoList
  /** What was held out; absent where nothing was. */
  readonly validation?: PhotoList
}

/**
 * Holds out a share of every class for validation by chance (stratified); each part keeps the order of the list.
 *
 * @param share 0 (all for training) to below 1; rounded to whole images, of which each part gets at least one
 * @param seed equal seeds give equal parts
 */
export function splitPhotos(list: PhotoList, share: number, seed: number): PhotoParts {
  if (share === 0) return { training: list }
  const count = list.sources.length
  const heldOut = Math.min(count - 1, Math.max(1, Math.round(share * count)))
  const { training, validation } = stratifiedIndices(list.labels, list.classNames.length, heldOut, seed)
  return { training: selectPhotos(list, training.sort()), validation: selectPhotos(list, validation.sort()) }
}
