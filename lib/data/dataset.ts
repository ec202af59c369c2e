import { VggError } from '../error.js'
import { type Check, isObject, unexpected } from '../options.js'
import type { Random } from '../random.js'

/** An image of a read that could not be read. */
export interface ReadFailure {
  /** Position of the image in the `indices` of the read. Its bytes are 0. */
  readonly position: number
  /** Path of the image, or its name in messages. */
  readonly name: string
  /** Reason of the failure, as the end of a sentence. */
  readonly reason: string
}

/** The augmentation of images that were read for training, which the device applies. */
export interface Augmented {
  /** Horizontal flips: [n], 1 for an image that is to be mirrored, otherwise 0. */
  readonly flip?: Uint8Array
  /** Colour shifts: [n, channels], added to every pixel of the channel, in the scale 0 to 255. */
  readonly shift?: Float32Array
  /** The images that could not be read. Absent: none. */
  readonly unreadable?: readonly ReadFailure[]
}

/** What is random when a dataset reads images for training. */
export interface RandomReads {
  /** What differs between two reads of an image besides flips: random crops, a random S, colour shifts. Empty: nothing. */
  readonly changes: readonly ('crop' | 'size' | 'colour')[]
  /**
   * Whether the random crops of an image can differ, as the sizes of all images tell; rejects with ABORTED after `signal`.
   * Absent: they can.
   */
  cropsDiffer?(signal?: AbortSignal): Promise<boolean>
  /** Draws the flips from the generators of the images, as `readAugmented` does: [n]. Absent: no image is mirrored. */
  flips?(randoms: readonly Random[]): Uint8Array
}

/**
 * Labelled images of one size that can be read in any order, a batch at a time.
 *
 * Training and evaluation use this interface only. The images may be in memory, in one file or in a folder.
 */
export interface Dataset {
  /** Number of images. */
  readonly count: number
  /** Height of every image, in pixels. */
  readonly height: number
  /** Width of every image, in pixels. */
  readonly width: number
  /** Number of channels: 1 (grey) or 3 (red, green, blue). */
  readonly channels: number
  /** The class of each image, 0 to `classNames.length - 1`. */
  readonly labels: Int32Array
  /** The name of each class. */
  readonly classNames: readonly string[]
  /**
   * Writes the images with these indices into `into`: uint8 [n, height, width, channels]. `into` has exactly
   * `indices.length * height * width * channels` bytes. Every read of an image gives the same bytes.
   *
   * @returns the images that could not be read, if the dataset skips such images
   */
  read(indices: Int32Array, into: Uint8Array): Promise<readonly ReadFailure[]>
  /**
   * Reads images for training, each with a random augmentation drawn from its own generator. If absent, training uses
   * `read`.
   *
   * @param randoms one generator for each index
   */
  readAugmented?(indices: Int32Array, randoms: readonly Random[], into: Uint8Array): Promise<Augmented>
  /**
   * What is random in `readAugmented`. Where nothing but flips is, `train` can compute frozen layers once for each image.
   * Absent: unknown.
   */
  readonly randomReads?: RandomReads
  /** Returns the name of an image in messages and reports, such as its path. Default: its index. */
  nameOf?(index: number): string
}

/** The number of bytes of one image: height x width x channels. */
export function imageBytes(data: Pick<Dataset, 'height' | 'width' | 'channels'>): number {
  return data.height * data.width * data.channels
}

/** The size of a dataset's images for messages: `28x28 with 1 channel`. */
export function imageText(data: Pick<Dataset, 'height' | 'width' | 'channels'>): string {
  return `${data.height}x${data.width} with ${data.channels} ${data.channels === 1 ? 'channel' : 'channels'}`
}

/** What makes a dataset of a value that is none; undefined if it is not recognised. */
function datasetCure(value: unknown): string | undefined {
  if (typeof value === 'string') return 'use photoDataset((await readFolder(path)).training, net)'
  if (Array.isArray(value)) return 'use await datasetFrom(...) for an iterable of { image, label }'
  if (!isObject(value)) return undefined
  if ('training' in value) return 'use its field training, or validation'
  if ('sources' in value) return 'use photoDataset(list, net)'
  return 'shape' in value ? 'use arrayDataset({ images, shape, labels })' : undefined
}

/** Checks that a value has the form of a {@link Dataset}, with at least one image. */
export const datasetCheck: Check<Dataset> = (value, name) => {
  if (!isObject(value) || typeof value.read !== 'function' || typeof value.count !== 'number')
    throw unexpected('a dataset, as arrayDataset or idxDataset makes it,', name, value, datasetCure(value))
  if (!ArrayBuffer.isView(value.labels) && !Array.isArray(value.labels))
    throw unexpected('the class of each image (Int32Array)', `labels of ${name}`, value.labels)
  if (value.count < 1)
    throw new VggError('INVALID_ARGUMENT', `Expected at least one image for ${name} but received an empty dataset`)
  return value as unknown as Dataset
}
