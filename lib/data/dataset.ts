import { type Check, isObject, unexpected } from '../options.js'
import type { Random } from '../random.js'

/** An image that could not be read, and was left out. */
export interface Unreadable {
  /** Its position in the `indices` of the read; its bytes are 0. */
  readonly position: number
  /** Its path, or what else it is called by. */
  readonly name: string
  /** Why, in words. */
  readonly reason: string
}

/** What belongs to images that were read for training. */
export interface Augmented {
  /** n: 1 where the image is to be mirrored left to right, otherwise 0. */
  readonly flip?: Uint8Array
  /** n * channels: added to every pixel of the channel, in the scale 0..255. */
  readonly shift?: Float32Array
  /** Those that could not be read. Absent: none. */
  readonly unreadable?: readonly Unreadable[]
}

/**
 * Labelled images of one size that can be read in any order, a batch at a time.
 *
 * Where the images lie (memory, a file, a folder) is the dataset's own affair: training and evaluation see only this.
 */
export interface Dataset {
  /** Number of images. */
  readonly count: number
  /** Height of every image, in pixels. */
  readonly height: number
  /** Width of every image, in pixels. */
  readonly width: number
  /** 1 for grey, 3 for red, green and blue in this order. */
  readonly channels: number
  /** The class of each image, 0 to `classNames.length - 1`. */
  readonly labels: Int32Array
  /** One name per class. */
  readonly classNames: readonly string[]
  /**
   * Writes the images with these indices one after another into `into`, as uint8 in the order height, width, channels.
   * `into` holds exactly `indices.length * height * width * channels` bytes. The same bytes every time.
   *
   * @returns the images that could not be read, where the dataset passes over them: usually none
   */
  read(indices: Int32Array, into: Uint8Array): Promise<readonly Unreadable[]>
  /**
   * As training wants them: each image changed by chance, as its own generator says. Absent: as `read` gives them.
   *
   * @param randoms one for each index
   */
  readAugmented?(indices: Int32Array, randoms: readonly Random[], into: Uint8Array): Promise<Augmented>
  /** What an image is called in messages and reports: its path. Default: its number. */
  nameOf?(index: number): string
}

/** Bytes of one image: height x width x channels. */
export function imageBytes(data: Pick<Dataset, 'height' | 'width' | 'channels'>): number {
  return data.height * data.width * data.channels
}

/** How a dataset's images are spoken of in messages: `28x28 with 1 channel`. */
export function imageText(data: Pick<Dataset, 'height' | 'width' | 'channels'>): string {
  return `${data.height}x${data.width} with ${data.channels} ${data.channels === 1 ? 'channel' : 'channels'}`
}

/** Lets through what looks like a {@link Dataset}. */
export const datasetCheck: Check<Dataset> = (value, name) => {
  const looksRight = isObject(value) && typeof value.read === 'function' && typeof value.count === 'number'
  if (looksRight) return value as unknown as Dataset
  throw unexpected('a dataset, as arrayDataset or idxDataset makes it,', name, value)
}
