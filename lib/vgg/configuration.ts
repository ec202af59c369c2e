import { VggError } from '../error.js'
import { checkedLayers, type Layer, mostOutputs } from '../layer.js'
import { checkClassNames } from '../network/arguments.js'
import { initialisation } from '../network/open.js'
import { checkMainMemory } from '../network/parameter-memory.js'
import {
  arrayOf,
  type Check,
  type Checked,
  type Checks,
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
  shown,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import type { HeadlessOptions, ModelOptions, NoHead } from './options.js'
import { type Origin, origin } from './origin.js'
import { type Preprocessing, preprocessing } from './preprocessing.js'
import { type Variant, variant } from './variants.js'

/** Configuration of the blocks of a VGG net. */
export interface TrunkConfiguration {
  /** Row of Table 1. */
  readonly variant: Variant
  /** Channels of the images. */
  readonly channels: number
  /** Height and width of the images in pixels. */
  readonly imageSize: readonly [height: number, width: number]
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
  /** Where the weights come from. */
  readonly origin?: Origin
}

/** Configuration of the head of a VGG net. */
export interface HeadConfiguration {
  /** Number of classes, the outputs of fc8. */
  readonly classes: number
  /** Dropout probability of fc6 and fc7. */
  readonly dropout: number
  /** Outputs of fc6 and of fc7. */
  readonly headWidth: number
  /** The network has its head. */
  readonly head?: undefined
}

/** Complete configuration of a VGG net: plain data, saved with the model. */
export type VggConfiguration = TrunkConfiguration & (HeadConfiguration | NoHead)

const size = integer(1, 2 ** 20)
/** Outputs of a linear layer. The limit is far beyond that of a layer, so that the error says what memory they take. */
export const outputs = integer(1)

/** Check of the size of images: a side, or [height, width]. */
export const imageSizeCheck: Check<[number, number]> = (value, name) => {
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
    check: optional(outputs),
    flag: '--classes <n>',
    help: 'outputs of the last layer (default: the classes of the data; without data 1000)',
  },
  head: {
    check: optional(oneOf('none')),
    flag: '--head <none>',
    help: 'none: without fc6, fc7 and fc8, for features (default: with them)',
    choices: ['none'],
  },
  channels: {
    check: withDefault(size, 3),
    flag: '--channels <n>',
    help: 'channels of the images, 3 or 1 (default: those of the data, else 3)',
  },
  imageSize: {
    check: withDefault<[number, number]>(imageSizeCheck, [224, 224]),
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
  origin: { check: optional(origin) },
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

/**
 * Reads options of a model, beside others with the checks `others`.
 * @throws INVALID_ARGUMENT also without classes, and for options of a head that the network does not have
 */
export function readModel<C extends Checks>(options: unknown, name: string, others: C) {
  const read = readOptions(options, name, { ...modelChecks, ...others })
  const given = options as Partial<ModelOptions>
  if (given.head === undefined && given.classes === undefined)
    throw unexpected('an integer of at least 1', 'classes', undefined, "head: 'none' creates a network without classes")
  if (given.head === 'none') refuseHeadOptions(given, "with head: 'none'", 'leave one of them out')
  return read
}

/** Refuses options of a head that a network does not have. @throws INVALID_ARGUMENT */
export function refuseHeadOptions(
  given: { readonly [Name in (typeof headOptions)[number]]?: unknown },
  network: string,
  cure: string,
): void {
  const isEmpty = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.length === 0)
  const extra = headOptions.find((option) => !isEmpty(given[option]))
  if (extra === undefined) return
  const message = `Expected no ${extra} ${network} but received ${shown(given[extra])}; ${cure}`
  throw new VggError('INVALID_ARGUMENT', message)
}

const headOptions = ['classes', 'classNames', 'headWidth', 'dropout'] as const

/** Completes checked options. @throws INVALID_ARGUMENT, SHAPE_MISMATCH where they do not agree with each other */
export function configurationOf(model: Checked<typeof modelChecks>): VggConfiguration {
  const { initialisation: scheme, classNames, preprocessing: before, origin: from, head, ...rest } = model
  const { variant: row, channels } = rest
  checkSize(rest.imageSize, row)
  checkWidth(rest.width, row)
  const meanRgb = perChannel(rest.meanRgb ?? (channels === 3 ? imageNetMean : 127.5), 'meanRgb', channels)
  const scale = perChannel(rest.scale ?? (scheme === 'paper' ? 1 : 1 / 58), 'scale', channels)
  const whole = { ...rest, meanRgb, scale, ...(before && { preprocessing: before }), ...(from && { origin: from }) }
  const { classes = 0, dropout: _, headWidth: __, ...trunk } = whole
  checkClassNames(classNames, classes)
  // the order of the keys is that of model files
  return head === undefined ? { ...whole, classes } : { ...trunk, head }
}

/** The configuration that `VGG.create` would use for these options. @throws INVALID_ARGUMENT, SHAPE_MISMATCH */
export const configurationFrom = (options: ModelOptions | HeadlessOptions): VggConfiguration =>
  configurationOf(readModel(options, 'VGG options', {}))

/**
 * Returns the layers of the network that `VGG.create` would create with these options, for `describe`. Nothing is
 * allocated.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export const layersOf = (options: ModelOptions | HeadlessOptions): readonly Layer[] =>
  vggLayers(configurationFrom(options))

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
 * fc6, relu6, fc7, relu7, fc8. With more or fewer than five blocks the head keeps its names. Without a head the last pool is
 * the last layer.
 */
export function vggLayers(configuration: VggConfiguration): readonly Layer[] {
  const { variant: row, channels, meanRgb, scale } = configuration
  const trunk: Layer[] = [
    { kind: 'input', channels, mean: meanRgb, scale },
    ...row.blocks.flatMap((_, index) => blockLayers(index + 1, configuration)),
  ]
  if (configuration.head === 'none') return checkedLayers(trunk, 'layers')
  const { classes, dropout, headWidth } = configuration
  const [height, width] = configuration.imageSize.map((length) => Math.floor(length / 2 ** row.blocks.length))
  const window = [height ?? 0, width ?? 0] as const
  const layers: Layer[] = [
    ...trunk,
    { kind: 'linear', name: 'fc6', outputs: headWidth, window, relu: 'relu6', dropout },
    { kind: 'linear', name: 'fc7', outputs: headWidth, window: [1, 1], relu: 'relu7', dropout },
    { kind: 'linear', name: 'fc8', outputs: classes, window: [1, 1] },
  ]
  if (Math.max(classes, headWidth) > mostOutputs) checkMainMemory(layers)
  return checkedLayers(layers, 'layers')
}
