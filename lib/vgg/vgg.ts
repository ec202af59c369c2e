import type { Layer } from '../layer.js'
import { checkClassNames } from '../network/arguments.js'
import { checkedLayers, mostOutputs } from '../network/check.js'
import { Network } from '../network/network.js'
import type { NetworkParts } from '../network/network-parts.js'
import { type Initialisation, initialisation, openNative, type RunOptions, runChecks } from '../network/open.js'
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
import { type VggConfiguration, vggLayers } from './layers.js'
import { type Preprocessing, preprocessing } from './preprocessing.js'
import { type Variant, type VariantRow, variant } from './variants.js'

/** What a VGG net is to be; everything but `variant` and `classes` has a default. */
export interface ModelOptions {
  /** 'A' or 'VGG11', 'A-LRN', 'B', 'C' or 'VGG16-1', 'D' or 'VGG16', 'E' or 'VGG19'; or a table row of your own. */
  variant: string | VariantRow
  /** Outputs of fc8, at least 1. */
  classes: number
  /** Channels of the images; default 3. */
  channels?: number
  /** Side, or [height, width], of the images, at least 32 (2 for each block of a row of your own); default 224. */
  imageSize?: number | readonly [height: number, width: number]
  /** Of fc6 and fc7, in training: from 0 to below 1; default 0.5 (Sect. 3.1). */
  dropout?: number
  /** Outputs of fc6 and fc7; default 4096. */
  headWidth?: number
  /** Multiplier of the convolutions' channels: above 0, at most 2^24 channels in all layers; default 1. */
  width?: number
  /** See `Initialisation`; default `glorot`. It decides the default of `scale`. */
  initialisation?: Initialisation
  /**
   * Subtracted from each pixel (0..255): one number, or one for each channel. Default: ImageNet's
   * [123.68, 116.779, 103.939] for three channels, else 127.5.
   */
  meanRgb?: number | readonly number[]
  /** Multiplier after that, above 0: one, or one for each channel. Default 1 / 58; for `paper` 1. */
  scale?: number | readonly number[]
  /** Parameters of A-LRN's normalisation: Krizhevsky's as printed, or those of Caffe's AlexNet. Default `literal`. */
  localNorm?: 'literal' | 'caffe'
  /** One name for each class; kept with the model. */
  classNames?: readonly string[]
  /** What was done to the images that it learns from; kept with the model. Default: nothing. */
  preprocessing?: Preprocessing
}

/** A VGG net, and where it computes. */
export interface VggOptions extends ModelOptions, RunOptions {}

const size = integer(1, 2 ** 20)

const imageSize: Check<[number, number]> = (value, name) => {
  if (!Array.isArray(value)) return [size(value, name), size(value, name)]
  if (value.length !== 2) throw unexpected('a side or [height, width]', name, value)
  return [size(value[0], `${name}[0]`), size(value[1], `${name}[1]`)]
}

const oneOrMore =
  (check: Check<number>): Check<number | number[]> =>
  (value, name) =>
    Array.isArray(value) ? arrayOf(check)(value, name) : check(value, name)

const localNorms = ['literal', 'caffe'] as const

/** The table of `ModelOptions`: checks, defaults and flags. Its order is that of the options in model files. */
export const modelTable = {
  variant: {
    check: variant,
    flag: '--variant <name>',
    help: 'A, A-LRN, B, C, D, E, or VGG11, VGG13, VGG16, VGG19, ... (default: A)',
  },
  classes: { check: size, flag: '--classes <n>', help: 'outputs of the last layer' },
  channels: {
    check: withDefault(size, 3),
    flag: '--channels <n>',
    help: 'channels of the images, 3 or 1 (default: those of the data, else 3)',
  },
  imageSize: {
    check: withDefault<[number, number]>(imageSize, [224, 224]),
    flag: '--image-size <size>',
    help: 'side of the images, or HEIGHTxWIDTH, at least 32',
  },
  dropout: { check: withDefault(fraction, 0.5), flag: '--dropout <p>', help: 'dropout probability of fc6 and fc7' },
  headWidth: { check: withDefault(size, 4096), flag: '--head-width <n>', help: 'outputs of fc6 and fc7' },
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
    help: 'mean of each channel, subtracted (default: mean of the training images)',
  },
  scale: {
    check: optional(oneOrMore(float32(positive))),
    flag: '--scale <values>',
    help: 'multiplier after the mean (default: 1/58, or 1 for the initialisation paper)',
  },
  localNorm: {
    check: withDefault(oneOf(...localNorms), 'literal'),
    flag: '--local-norm <form>',
    help: 'parameters of the local response normalisation of A-LRN',
    choices: localNorms,
  },
  classNames: { check: withDefault(arrayOf(text), []) },
  preprocessing: { check: optional(preprocessing) },
} as const satisfies Record<keyof ModelOptions, OptionRow>

const modelChecks = checksOf(modelTable)

function perChannel(value: number | readonly number[], name: string, channels: number): readonly number[] {
  if (typeof value === 'number') return Array<number>(channels).fill(value)
  if (value.length === channels) return value
  throw unexpected(`${channels} numbers, one for each channel`, name, value)
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

function configurationOf(model: Checked<typeof modelChecks>): VggConfiguration {
  const { initialisation: scheme, classNames, preprocessing: before, ...rest } = model
  const { variant: row, channels, classes } = rest
  checkSize(rest.imageSize, row)
  checkWidth(rest.width, row)
  checkClassNames(classNames, classes)
  const meanRgb = perChannel(rest.meanRgb ?? (channels === 3 ? imageNetMean : 127.5), 'meanRgb', channels)
  const scale = perChannel(rest.scale ?? (scheme === 'paper' ? 1 : 1 / 58), 'scale', channels)
  return { ...rest, meanRgb, scale, ...(before && { preprocessing: before }) }
}

/** The configuration of the net that `VGG.create` would make of these options. @throws INVALID_ARGUMENT, SHAPE_MISMATCH */
export const configurationFrom = (options: ModelOptions): VggConfiguration =>
  configurationOf(readOptions(options, 'VGG options', modelChecks))

/**
 * The layers of the net that `VGG.create` would make of these options; nothing is allocated.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export const layersOf = (options: ModelOptions): readonly Layer[] => checkedVggLayers(configurationFrom(options))

const checkedVggLayers = (configuration: VggConfiguration): readonly Layer[] =>
  checkedLayers(vggLayers(configuration), 'layers')

/**
 * The layers that the paper's deeper nets take from A (Sect. 3.1): `deeper.initialiseFrom(a, { layers: layersOfA })`. By
 * name: by position the shapes do not agree.
 */
export const layersOfA: readonly string[] = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8']

// A subclass's static method must take what its base's takes; this base has no static methods.
const Base: new (parts: NetworkParts) => Network = Network

/**
 * A VGG net (Simonyan & Zisserman 2015): one of the six of Table 1, or of a table row of the user's own. A {@link Network},
 * and all that one does.
 */
export class VGG extends Base {
  #configuration: VggConfiguration
  /** The paper's letter, or the name of the user's row. */
  readonly variant: string

  private constructor(parts: NetworkParts, configuration: VggConfiguration) {
    super(parts)
    this.#configuration = configuration
    this.variant = configuration.variant.name
  }

  /**
   * A net with random weights. Images are uint8 [n, h, w, c] or float32 [n, c, h, w], pixels from 0 to 255.
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM,
   *   NATIVE_LOAD_FAILED
   */
  static async create(options: VggOptions): Promise<VGG> {
    const read = readOptions(options, 'VGG.create options', { ...modelChecks, ...runChecks })
    const { device, precision, deterministic, seed, threads, exact, memoryLimit, ...model } = read
    const run = { device, precision, deterministic, seed, threads, exact, memoryLimit }
    const configuration = configurationOf(model)
    const layers = checkedVggLayers(configuration)
    const native = await openNative(layers, run, model.initialisation)
    const name = `The VGG net ${configuration.variant.name}`
    return new VGG({ native, layers, classNames: model.classNames, name }, configuration)
  }

  /** Every choice that made it, defaults filled in. */
  get configuration(): VggConfiguration {
    return this.#configuration
  }

  /** What is done to the images that it is shown; kept with the model. Undefined: nothing is known. */
  get preprocessing(): Preprocessing | undefined {
    return this.#configuration.preprocessing
  }

  /** Fine-tuning may show it images at another S. @throws INVALID_ARGUMENT */
  set preprocessing(value: Preprocessing) {
    this.#configuration = { ...this.#configuration, preprocessing: preprocessing(value, 'preprocessing') }
  }

  /** Height and width of the images it was made for. */
  get imageSize(): readonly [height: number, width: number] {
    return this.configuration.imageSize
  }
}
