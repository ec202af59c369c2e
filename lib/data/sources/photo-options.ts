import { availableParallelism } from 'node:os'
import { VggError } from '../../error.js'
import {
  boolean,
  type Check,
  integer,
  isObject,
  oneOf,
  optional,
  readOptions,
  unexpected,
  withDefault,
} from '../../options.js'
import { type ColourShift, colourShiftCheck } from '../images/colour.js'
import { type CropSpec, cropOptionsFrom, type SmallestSide } from '../images/crop.js'
import { type DecodingOptions, decodingChecks } from '../images/formats.js'
import { channelsCheck } from '../images/image.js'

/** What a network, such as a `VGG`, says of the images that it takes. */
export interface PhotoNetwork {
  /** Height and width of the images in pixels. */
  readonly imageSize: readonly [height: number, width: number]
  /** Number of channels of the images. */
  readonly channels: number
  /** Preprocessing of its training; undefined if unknown. */
  readonly preprocessing?:
    | {
        /** The S of its training. */
        readonly smallestSide?: SmallestSide | undefined
        /** The random colour shift of its training. */
        readonly colour?: ColourShift | undefined
      }
    | undefined
}

/** How image files become images of one size (Sect. 3.1 of the paper). */
export interface PhotoOptions extends DecodingOptions {
  /** The network that the images are for: it determines the defaults of `crop`, `smallestSide`, `channels` and `colour`. */
  net?: PhotoNetwork | undefined
  /** Side of the crop that the network receives, in pixels, or [height, width]. Required without `net`. The paper's is 224. */
  crop?: number | readonly [height: number, width: number] | undefined
  /**
   * The paper's S: the length in pixels to which the smallest side of an image is rescaled, or a range [least, most] from
   * which it is drawn for each image. At least the larger side of the crop. Default: that of `net`, else 256/224 of that
   * side.
   */
  smallestSide?: SmallestSide | undefined
  /** Number of channels: 1 (grey) or 3 (red, green, blue). Default: those of `net`, else 3. */
  channels?: 1 | 3 | undefined
  /** Whether training takes crops at random offsets instead of the centre crop. Default true. */
  randomCrop?: boolean | undefined
  /** Whether training mirrors images at random, with probability 1/2. Default true. */
  flip?: boolean | undefined
  /** The random colour shift for training, which requires 3 channels; false for none. Default: that of `net`, else none. */
  colour?: ColourShift | false | undefined
  /** Whether a read rejects if an image cannot be read (`throw`, the default), or skips the image and reports it. */
  onUnreadable?: 'skip' | 'throw' | undefined
  /**
   * Number of images decoded at once, over all reads together, 1 to 1024; it bounds the memory. As many more files are
   * read meanwhile. Default: the number of processors, at most the number of threads in libuv's pool, which decode the
   * images (4, or the environment variable UV_THREADPOOL_SIZE). A network computes on other threads, but on the same
   * processors.
   */
  workers?: number | undefined
}

/** Passes a value on, because cropOptionsFrom checks it. */
const unchecked: Check<unknown> = (value) => value

/** The number of threads in libuv's pool. */
function poolThreads(): number {
  const asked = Number(process.env.UV_THREADPOOL_SIZE)
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, 1024) : 4
}

/** Whether a value is a network, and not an object of options. */
const isNetwork = (value: unknown): value is PhotoNetwork => isObject(value) && Array.isArray(value.imageSize)

const network: Check<PhotoNetwork> = (value, name) => {
  if (!isNetwork(value)) throw unexpected('a VGG', name, value)
  if (value.channels === 1 || value.channels === 3) return value
  const message = `Expected a network of 1 or 3 channels for images but it takes ${value.channels}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/** The checks of {@link PhotoOptions}. */
export const photoChecks = {
  net: optional(network),
  crop: unchecked,
  smallestSide: unchecked,
  channels: optional(channelsCheck),
  randomCrop: unchecked,
  flip: withDefault(boolean, true),
  colour: optional<ColourShift | false>((value, name) => (value === false ? value : colourShiftCheck(value, name))),
  onUnreadable: withDefault(oneOf('throw', 'skip'), 'throw'),
  ...decodingChecks,
  workers: withDefault(integer(1, 1024), Math.min(poolThreads(), availableParallelism())),
}

/**
 * Checks options and fills in their defaults.
 *
 * @throws VggError INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export function readPhotoOptions(options: PhotoOptions | PhotoNetwork) {
  const read = readOptions(isNetwork(options) ? { net: options } : options, 'photoDataset options', photoChecks)
  const { net, ...given } = read
  const { smallestSide, colour: shift } = net?.preprocessing ?? {}
  const channels = given.channels ?? (net?.channels === 1 ? 1 : 3)
  if (given.colour && channels === 1) throw unexpected('no colour shift of grey images', 'colour', given.colour)
  const colour = (given.colour ?? (channels === 3 && shift)) || undefined
  const crop = given.crop ?? net?.imageSize
  if (crop === undefined) throw unexpected('a side, [height, width], or the option net,', 'crop', crop)
  const cropOptions = cropOptionsFrom({ ...given, crop, smallestSide: given.smallestSide ?? smallestSide })
  const [height, width] = cropOptions.crop
  return { ...given, colour, crop: { height, width, channels } satisfies CropSpec, cropOptions }
}

/** {@link PhotoOptions} as read. */
export type PhotoSettings = ReturnType<typeof readPhotoOptions>
