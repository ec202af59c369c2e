import { type DecodingOptions, decodingChecks } from '../data/images/formats.js'
import { photoChecks } from '../data/sources/photo-options.js'
import type { Network } from '../network/network.js'
import {
  arrayOf,
  boolean,
  type Callback,
  type Check,
  callback,
  checksOf,
  instanceOf,
  integer,
  type OptionRow,
  oneOf,
  optional,
  readOptions,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { VGG } from '../vgg/vgg.js'
import { usualLayer } from './columns.js'
import {
  type Aggregate,
  aggregateNames,
  type Normalise,
  normaliseNames,
  type Pool,
  poolNames,
  type Transform,
  transformNames,
} from './feature-description.js'

/** Progress of `embed`. */
export interface EmbedProgress {
  /** Number of images done, those included that could not be read. */
  readonly done: number
  /** Number of images in all. */
  readonly of: number
}

/** Options of `embed`: what is computed, and how image files are read. */
export interface EmbedOptions extends DecodingOptions {
  /**
   * Tensors of the network, named as for `features`; their columns follow each other in this order. Default: the last
   * activations before the classes, `relu7` (the paper's 4096 features), or without a head those of the last convolution.
   */
  layers?: readonly string[] | undefined
  /**
   * How each channel becomes one number: its mean over space, its largest value, or both, one after the other. Default
   * `['mean']`. With images of one size, a fully connected layer of 1x1 positions is taken once as it is.
   */
  pool?: readonly Pool[] | undefined
  /** `log1p` replaces each pooled value x by log(1 + x), for layers without values below 0. Default `none`. */
  transform?: Transform | undefined
  /**
   * The paper's Q: the smaller side in pixels of the whole images, which are not cropped; several are computed one by one.
   * For lists of image files only. Default: images of the network's size, as for `evaluate`.
   */
  scales?: readonly number[] | undefined
  /** Whether the features of several scales are averaged, or one row is kept for each. Default `mean`. */
  aggregate?: Aggregate | undefined
  /** Whether the features are averaged with those of the mirrored image. Default false. */
  flip?: boolean | undefined
  /** `l2` divides the features of each image, all scales together, by their Euclidean length. Default `l2`. */
  normalise?: Normalise | undefined
  /**
   * Images of the network's size in a pass; of larger images as many fewer as they have more pixels. Default: as many as
   * have the pixels of 16 images of 224x224, at most 256. It affects memory, speed and the last bits of the features.
   */
  batchSize?: number | undefined
  /**
   * Whether an image file that cannot be read ends the call (`throw`, the default), or is left out and reported. A dataset
   * decides that itself.
   */
  onUnreadable?: 'throw' | 'skip' | undefined
  /** Number of image files decoded at once, 1 to 1024. Default: as for `photoDataset`. */
  workers?: number | undefined
  /** Aborts the call, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
  /** Called as images are done. */
  onProgress?: Callback<[progress: EmbedProgress]> | undefined
}

/** Largest number of scales, and of layers. */
const most = 256

const list =
  <T>(check: Check<T>, what: string): Check<T[]> =>
  (value, name) => {
    const found = arrayOf(check)(value, name)
    if (found.length === 0 || found.length > most) throw unexpected(`1 to ${most} ${what}`, name, value)
    if (new Set(found).size !== found.length) throw unexpected(`${what} that differ`, name, value)
    return found
  }

/** The options that say what is computed, with their flags. */
export const embedTable = {
  layers: {
    check: optional(list(text, 'names of tensors')),
    flag: '--layers <names>',
    help: 'tensors, separated by commas (default: relu7, or without a head the last convolution after its ReLU)',
  },
  pool: {
    check: withDefault<Pool[]>(list(oneOf(...poolNames), 'ways of pooling'), ['mean']),
    flag: '--pool <names>',
    help: 'how a channel becomes one number: mean, max or mean,max (default: mean)',
  },
  transform: {
    check: withDefault(oneOf(...transformNames), 'none'),
    flag: '--transform <name>',
    help: 'change of each pooled value; log1p is log(1 + x)',
    choices: transformNames,
  },
  scales: {
    check: optional(list(integer(1, 65535), 'scales')),
    flag: '--scales <sides>',
    help: 'smaller sides in pixels of whole images, such as 256,384,512 (default: centre crops as for evaluate)',
  },
  aggregate: {
    check: withDefault(oneOf(...aggregateNames), 'mean'),
    flag: '--aggregate <name>',
    help: 'what becomes of several scales',
    choices: aggregateNames,
  },
  flip: { check: withDefault(boolean, false), flag: '--flip', help: 'average with the mirrored images' },
  normalise: {
    check: withDefault(oneOf(...normaliseNames), 'l2'),
    flag: '--normalise <name>',
    help: 'l2 divides the features of each image by their Euclidean length',
    choices: normaliseNames,
  },
  batchSize: {
    check: optional(integer(1)),
    flag: '--batch <n>',
    help: "images of the network's size computed at a time, fewer larger ones (default: 16 at 224x224, more at smaller sizes)",
  },
} satisfies Record<string, OptionRow>

/** The checks of {@link EmbedOptions}. */
export const embedChecks = {
  ...checksOf(embedTable),
  onUnreadable: photoChecks.onUnreadable,
  workers: photoChecks.workers,
  signal: optional(instanceOf(AbortSignal)),
  onProgress: optional(callback<NonNullable<EmbedOptions['onProgress']>>()),
  ...decodingChecks,
}

const paperPixels = 224 * 224

/** Options as read, with the defaults that depend on the network. */
export type EmbedSettings = ReturnType<typeof readEmbedOptions>

/** @throws INVALID_ARGUMENT */
export function readEmbedOptions(net: Network, options: EmbedOptions | undefined) {
  const { layers = [usualLayer(net.layers)], batchSize, ...read } = readOptions(options, 'embed options', embedChecks)
  if (read.aggregate === 'stack' && read.scales === undefined)
    throw unexpected("scales for aggregate: 'stack'", 'scales', undefined)
  const pixels = net instanceof VGG ? net.imageSize[0] * net.imageSize[1] : paperPixels
  const images = batchSize ?? Math.min(256, Math.max(1, Math.floor((16 * paperPixels) / pixels)))
  return { ...read, layers, batchPixels: images * pixels }
}
