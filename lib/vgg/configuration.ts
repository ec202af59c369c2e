import { type ColourShift, colourShiftCheck } from '../data/images/colour.js'
import type { SmallestSide } from '../data/images/crop.js'
import { checkedLayers, type Layer, mostOutputs } from '../layer.js'
import { checkClassNames } from '../network/arguments.js'
import { type Initialisation, initialisation, type RunOptions } from '../network/open.js'
import { checkMainMemory } from '../network/parameter-memory.js'
import {
  arrayOf,
  type Check,
  type Checked,
  checksOf,
  finite,
  float32,
  fraction,
  integer,
  type OptionRow,
  oneOf,
  optional,
  positive,
  readOptions,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { type Variant, type VariantName, type VariantRow, variant } from './variants.js'

/** Options of a VGG net; all but `variant` and `classes` have defaults. */
export interface ModelOptions {
  /** Configuration: 'A' or 'VGG11', 'A-LRN', 'B', 'C' or 'VGG16-1', 'D' or 'VGG16', 'E' or 'VGG19'; or a custom row of Table 1. */
  variant: VariantName | VariantRow
  /** Number of classes, the outputs of fc8; at least 1. */
  classes: number
  /** Channels of the images. Default 3. */
  channels?: number | undefined
  /** Side, or [height, width], of the images in pixels; at least 32 (2^blocks for a custom row). Default 224. */
  imageSize?: number | readonly [height: number, width: number] | undefined
  /** Dropout probability of fc6 and fc7, 0 to below 1. Default 0.5 (Sect. 3.1). */
  dropout?: number | undefined
  /** Outputs of fc6 and of fc7. Default 4096. */
  headWidth?: number | undefined
  /** Multiplier of the convolutions' channels, above 0; no layer may have more than 2^24 channels. Default 1. */
  width?: number | undefined
  /** Distribution of the initial weights. It determines the default of `scale`. Default `glorot`. */
  initialisation?: Initialisation | undefined
  /**
   * Mean that is subtracted from each pixel (0..255): a number, or one number for each channel. Default: ImageNet's
   * [123.68, 116.779, 103.939] for three channels, otherwise 127.5.
   */
  meanRgb?: number | readonly number[] | undefined
  /** Multiplier applied after the mean is subtracted, above 0: a number, or one for each channel. Default 1 / 58; 1 for `paper`. */
  scale?: number | readonly number[] | undefined
  /** Parameters of the normalisation in A-LRN: those of Krizhevsky 2012, or of Caffe's AlexNet. Default `literal`. */
  localNorm?: 'literal' | 'caffe' | undefined
  /** One name for each class, saved with the model. Default: none. */
  classNames?: readonly string[] | undefined
  /** Preprocessing of the training images, saved with the model. Default: none. */
  preprocessing?: Preprocessing | undefined
}

/** Options of `VGG.create`: those of the model and those of the device. */
export interface VggOptions<Given extends VariantName | VariantRow = VariantName | VariantRow>
  extends ModelOptions,
    RunOptions {
  /** As in `ModelOptions`. A name determines which names of layers the network's type has. */
  variant: Given
}

/**
 * Preprocessing of images before they enter the network, besides its mean and scale: fitted on the training set, saved
 * with the model, and applied wherever the model is used on images.
 */
export interface Preprocessing {
  /** S of Sect. 3.1 in pixels: smallest side of the resized image from which crops of the network's size are taken. */
  readonly smallestSide?: SmallestSide | undefined
  /** Random shift of red, green and blue along the principal axes of the training set's colours. */
  readonly colour?: ColourShift | undefined
}

/** Complete configuration of a VGG net: plain data, saved with the model. */
export interface VggConfiguration {
  /** Row of Table 1. */
  readonly variant: Variant
  /** Number of classes, the outputs of fc8. */
  readonly classes: number
  /** Channels of the images. */
  readonly channels: number
  /** Height and width of the images in pixels. */
  readonly imageSize: readonly [height: number, width: number]
  /** Dropout probability of fc6 and fc7. */
  readonly dropout: number
  /** Outputs of fc6 and of fc7. */
  readonly headWidth: number
  /** Multiplier of the convolutions' channels. */
  readonly width: number
  /** Mean that is subtracted from each pixel, one number for each channel. */
  readonly meanRgb: readonly number[]
  /** Multiplier applied after the mean is subtracted, one number for each channel. */
  readonly scale: readonly number[]
  /** Parameters of the normalisation in A-LRN. */
  readonly localNorm: 'literal' | 'caffe'
  /** Preprocessing of the training images. It is not part of the network. */
  readonly preprocessing?: Preprocessing
}

const side = integer(1, 65535)

/** Check of S: a side, or [least, most]. */
export const smallestSideCheck: Check<SmallestSide> = (value, name) => {
  if (!Array.isArray(value)) return side(value, name)
  const [least, most] = [side(value[0], `${name}[0]`), side(value[1], `${name}[1]`)]
  if (value.length === 2 && least <= most) return [least, most]
  throw unexpected('a side or [least, most]', name, value)
}

const preprocessingChecks = { smallestSide: optional(smallestSideCheck), colour: optional(colourShiftCheck) }

/** Check of {@link Preprocessing}. */
export const preprocessing: Check<Preprocessing> = (value, name) => {
  const { smallestSide: side, colour } = readOptions(value, name, preprocessingChecks)
  return { ...(side !== undefined && { smallestSide: side }), ...(colour && { colour }) }
}

const size = integer(1, 2 ** 20)
/** Many more than a layer may have, so that the error for them says what memory they take. */
const outputs = integer(1)

const imageSize: Check<[number, number]> = (value, name) => {
  if (!Array.isArray(value)) return [size(value, name), size(value, name)]
  if (value.length !== 2) throw unexpected('a side or [height, width]', name, value)
  return [size(value[0], `${name}[0]`), size(value[1], `${name}[1]`)]
}

const oneOrMore =
  (check: Check<number>): Check<number | number[]> =>
  (value, name) =>
    Array.isArray(value) ? arrayOf(check)(value, name) : check(value, name)

// Krizhevsky 2012, with alpha not divided by the number of channels in the sum. Caffe divides, and its AlexNet had
// k = 1: alpha 1e-4 / 5.
const localNorms = {
  literal: { size: 5, k: 2, alpha: 1e-4, beta: 0.75 },
  caffe: { size: 5, k: 1, alpha: 2e-5, beta: 0.75 },
} as const

const localNormForms = Object.keys(localNorms) as (keyof typeof localNorms)[]

/** The table of `ModelOptions`: checks, defaults and flags. Its order is that of the options in model files. */
export const modelTable = {
  variant: {
    check: variant,
    flag: '--variant <name>',
    help: 'A, A-LRN, B, C, D, E, or VGG11, VGG13, VGG16, VGG19, ... (default: A)',
  },
  classes: {
    check: outputs,
    flag: '--classes <n>',
    help: 'outputs of the last layer (default: the classes of the data; without data 1000)',
  },
  channels: {
    check: withDefault(size, 3),
    flag: '--channels <n>',
    help: 'channels of the images, 3 or 1 (default: those of the data, else 3)',
  },
  imageSize: {
    check: withDefault<[number, number]>(imageSize, [224, 224]),
    flag: '--image-size <size>',
    help: 'side of the images, or HEIGHTxWIDTH, at least 32 (default: 224; that of IDX images)',
  },
  dropout: { check: withDefault(fraction, 0.5), flag: '--dropout <p>', help: 'dropout probability of fc6 and fc7' },
  headWidth: { check: withDefault(outputs, 4096), flag: '--head-width <n>', help: 'outputs of fc6 and fc7' },
  width: {
    check: withDefault(positive, 1),
    flag: '--width <factor>',
    help: "multiplier of the convolutions' channels",
  },
  initialisation: {
    check: initialisation,
    flag: '--initialisation <scheme>',
    help: 'initial weights; with --from, those of a new last layer',
    choices: ['glorot', 'he', 'paper'],
  },
  meanRgb: {
    check: optional(oneOrMore(float32(finite))),
    flag: '--mean <values>',
    help: 'mean, subtracted: one number, or one for each channel (default: mean of the training images)',
  },
  scale: {
    check: optional(oneOrMore(float32(positive))),
    flag: '--scale <values>',
    help: 'multiplier after the mean: one number, or one for each channel (default: 1/58, or 1 for the initialisation paper)',
  },
  localNorm: {
    check: withDefault(oneOf(...localNormForms), 'literal'),
    flag: '--local-norm <form>',
    help: 'parameters of the local response normalisation of A-LRN',
    choices: localNormForms,
  },
  classNames: { check: withDefault(arrayOf(text), []) },
  preprocessing: { check: optional(preprocessing) },
} as const satisfies Record<keyof ModelOptions, OptionRow>

/** Checks of `ModelOptions`, with their defaults. */
export const modelChecks = checksOf(modelTable)

function perChannel(value: number | readonly number[], name: string, channels: number): readonly number[] {
  if (typeof value === 'number') return Array<number>(channels).fill(value)
  if (value.length === channels) return value
  throw unexpected(`a number, or ${channels} numbers, one for each channel`, name, value)
}

function checkSize([height, width]: readonly [number, number], { blocks }: Variant): void {
  const least = 2 ** blocks.length
  if (height >= least && width >= least) return
  throw unexpected(`at least ${least} pixels for ${blocks.length} blocks`, 'imageSize', [height, width])
}

function checkWidth(width: number, { channels }: Variant): void {
  const most = mostOutputs / Math.max(...channels)
  if (width > most) throw unexpected(`a number of at most ${most}`, 'width', width)
}

const imageNetMean = [123.68, 116.779, 103.939]

/** Completes checked options. @throws INVALID_ARGUMENT, SHAPE_MISMATCH where they do not agree with each other */
export function configurationOf(model: Checked<typeof modelChecks>): VggConfiguration {
  const { initialisation: scheme, classNames, preprocessing: before, ...rest } = model
  const { variant: row, channels, classes } = rest
  checkSize(rest.imageSize, row)
  checkWidth(rest.width, row)
  checkClassNames(classNames, classes)
  const meanRgb = perChannel(rest.meanRgb ?? (channels === 3 ? imageNetMean : 127.5), 'meanRgb', channels)
  const scale = perChannel(rest.scale ?? (scheme === 'paper' ? 1 : 1 / 58), 'scale', channels)
  return { ...rest, meanRgb, scale, ...(before && { preprocessing: before }) }
}

/** The configuration that `VGG.create` would use for these options. @throws INVALID_ARGUMENT, SHAPE_MISMATCH */
export const configurationFrom = (options: ModelOptions): VggConfiguration =>
  configurationOf(readOptions(options, 'VGG options', modelChecks))

/**
 * Returns the layers of the network that `VGG.create` would create with these options, for `describe`. Nothing is
 * allocated.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export const layersOf = (options: ModelOptions): readonly Layer[] => vggLayers(configurationFrom(options))

function blockLayers(block: number, { variant: row, width, localNorm }: VggConfiguration): Layer[] {
  // at least one channel, however narrow the network
  const outputs = Math.max(1, Math.round((row.channels[block - 1] ?? 0) * width))
  const entries = row.blocks[block - 1] ?? []
  const layers = entries.map((entry, index): Layer => {
    if (entry === 'LRN') return { kind: 'local-norm', name: `norm${block}`, ...localNorms[localNorm] }
    const number = entries.slice(0, index + 1).filter((other) => other !== 'LRN').length
    const [name, relu] = [`conv${block}_${number}`, `relu${block}_${number}`]
    return { kind: 'convolution', name, outputs, kernel: entry, relu }
  })
  return [...layers, { kind: 'max-pool', name: `pool${block}` }]
}

/**
 * The layers of a VGG net (Sect. 2.1), by the names of the authors' release: conv1_1, relu1_1, pool1, norm1, ...,
 * fc6, relu6, fc7, relu7, fc8. With more or fewer than five blocks the head keeps its names.
 */
export function vggLayers(configuration: VggConfiguration): readonly Layer[] {
  const { variant: row, classes, channels, dropout, headWidth, meanRgb, scale } = configuration
  const [height, width] = configuration.imageSize.map((length) => Math.floor(length / 2 ** row.blocks.length))
  const window = [height ?? 0, width ?? 0] as const
  const layers: Layer[] = [
    { kind: 'input', channels, mean: meanRgb, scale },
    ...row.blocks.flatMap((_, index) => blockLayers(index + 1, configuration)),
    { kind: 'linear', name: 'fc6', outputs: headWidth, window, relu: 'relu6', dropout },
    { kind: 'linear', name: 'fc7', outputs: headWidth, window: [1, 1], relu: 'relu7', dropout },
    { kind: 'linear', name: 'fc8', outputs: classes, window: [1, 1] },
  ]
  if (Math.max(classes, headWidth) > mostOutputs) checkMainMemory(layers)
  return checkedLayers(layers, 'layers')
}
