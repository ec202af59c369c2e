import { VggError } from '../error.js'
import { parametersOf } from '../layer.js'
import {
  arrayOf,
  checksOf,
  integer,
  type OptionRow,
  oneOf,
  optional,
  readOptions,
  text,
  unexpected,
} from '../options.js'
import {
  configurationFrom,
  type HeadConfiguration,
  imageSizeCheck,
  modelChecks,
  modelTable,
  outputs,
  refuseHeadOptions,
  type VggConfiguration,
  vggLayers,
} from './configuration.js'
import type { NoHead } from './options.js'
import type { Preprocessing } from './preprocessing.js'

/** How conv1_1 is made from that of a model with another number of channels. */
export type ChannelInit = 'sum' | 'mean'

/** Options that change the network of a model while it is loaded. */
export interface AdaptOptions {
  /** 'none': the network has no head; fc6, fc7 and fc8 are not read. Default: the head of the model, if it has one. */
  head?: 'none' | undefined
  /**
   * Number of classes. The number of the model keeps its head; with any other, fc8 is new, and the whole head where the model
   * has none. Default: the number of the model.
   */
  classes?: number | undefined
  /** One name for each class. Default: those of the model where the number of classes is equal. */
  classNames?: readonly string[] | undefined
  /** Outputs of fc6 and of fc7. With another number than the model's, all three layers of the head are new. */
  headWidth?: number | undefined
  /** Dropout probability of fc6 and fc7, 0 to below 1. Default: that of the model. */
  dropout?: number | undefined
  /**
   * Side, or [height, width], of the images in pixels. Where fc6 has another window for it, the head cannot be kept: it is new
   * with other `classes` or a `headWidth`, and otherwise an error. Default: that of the model.
   */
  imageSize?: number | readonly [height: number, width: number] | undefined
  /** Channels of the images. conv1_1 is made by `channelInit` where the model has another number. Default: those of the model. */
  channels?: number | undefined
  /**
   * `sum` keeps the response to images whose channels are equal. For one channel, the kernels of the model's channels are
   * added; the mean and scale become one number each, and the bias takes up the difference, so that a grey image gives the
   * same as its RGB form, but for the borders. For several, the kernels are repeated in turn and divided by the number
   * of channels over that of the model. `mean` gives each channel the mean of the model's kernels. Default `sum`.
   */
  channelInit?: ChannelInit | undefined
}

/** The table of {@link AdaptOptions}: checks and flags. What is left out is that of the model. */
export const adaptTable = {
  head: modelTable.head,
  classes: {
    ...modelTable.classes,
    help: 'outputs of the last layer; another number makes a new one (default: that of the source)',
  },
  classNames: {
    check: optional(arrayOf(text)),
    flag: '--class-names <names>',
    help: 'names of the classes: cat,dog (default: those of the source)',
  },
  headWidth: {
    check: optional(outputs),
    flag: modelTable.headWidth.flag,
    help: 'outputs of fc6 and fc7; another number makes a new head (default: that of the source)',
  },
  dropout: {
    check: optional(modelTable.dropout.check),
    flag: modelTable.dropout.flag,
    help: 'dropout probability of fc6 and fc7 (default: that of the source)',
  },
  imageSize: {
    check: optional(imageSizeCheck),
    flag: modelTable.imageSize.flag,
    help: 'side of the images, or HEIGHTxWIDTH (default: that of the source)',
  },
  channels: {
    check: optional(integer(1, 2 ** 20)),
    flag: modelTable.channels.flag,
    help: 'channels of the images (default: those of the source)',
  },
  channelInit: {
    check: optional(oneOf('sum', 'mean')),
    flag: '--channel-init <way>',
    help: 'how conv1_1 is made for other channels (default: sum)',
    choices: ['sum', 'mean'],
  },
} as const satisfies Record<keyof AdaptOptions, OptionRow>

/** The checks of {@link AdaptOptions}. */
export const adaptChecks = checksOf(adaptTable)

type Given = ReturnType<typeof readOptions<typeof adaptChecks>>

/** Weight [outputs, channels, kernel, kernel] and bias of conv1_1. */
export interface FirstLayer {
  readonly weight: Float32Array
  readonly bias: Float32Array
}

/** The network that a model becomes with {@link AdaptOptions}. */
export interface Adapted {
  readonly configuration: VggConfiguration
  /** One name for each class; empty if there are none. */
  readonly classNames: readonly string[]
  /** Names of the parameters that are those of the model: 'conv1_1.weight'. */
  readonly kept: ReadonlySet<string>
  /** Names of the parameters that the model does not have, which are initialised at random. */
  readonly fresh: ReadonlySet<string>
  /** Makes conv1_1 from that of the model, where the number of channels differs. */
  readonly firstLayer: ((ofModel: FirstLayer) => FirstLayer) | undefined
}

const head = ['fc6', 'fc7', 'fc8'] as const

/**
 * Determines the network that a model becomes with other options, and which of its parameters are those of the model.
 * @param model configuration of the model
 * @param classNames class names of the model
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH for options that contradict each other or the model
 */
export function adaptedConfiguration(
  model: VggConfiguration,
  options: AdaptOptions = {},
  classNames: readonly string[] = [],
): Adapted {
  const given = readOptions(options, 'load options', adaptChecks)
  const { channels = model.channels, imageSize = model.imageSize, channelInit } = given
  if (channelInit !== undefined && channels === model.channels) {
    const message = `Expected no channelInit where the model has the ${channels} channels, but received ${channelInit}; leave it out, or give other channels`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const ends = headOf(model, given)
  const { classes: _, dropout: __, headWidth: ___, head: ____, ...trunk } = model
  const mixed = channels === model.channels ? undefined : mixOf(model, channels, channelInit ?? 'sum')
  const configuration = configurationFrom({
    ...trunk,
    imageSize,
    channels,
    ...(mixed && { meanRgb: mixed.mean, scale: mixed.scale }),
    preprocessing: preprocessingFor(model, imageSize, mixed !== undefined),
    ...ends.part,
    classNames: given.classNames,
  })
  const names = parametersOf(vggLayers(configuration)).map(({ name }) => name)
  const isFresh = (name: string): boolean => ends.fresh.some((layer) => name.startsWith(`${layer}.`))
  return {
    configuration,
    classNames: given.classNames ?? (configuration.classes === model.classes ? classNames : []),
    kept: new Set(names.filter((name) => !isFresh(name))),
    fresh: new Set(names.filter(isFresh)),
    firstLayer: mixed && ((layer) => mixedLayer(layer, model, mixed)),
  }
}

/** The preprocessing of the model, with its S in proportion to another size. */
function preprocessingFor(
  { preprocessing, imageSize }: VggConfiguration,
  size: readonly number[],
  otherChannels: boolean,
): Preprocessing | undefined {
  if (preprocessing === undefined) return undefined
  const { smallestSide, colour } = preprocessing
  const factor = Math.min(...size) / Math.min(...imageSize)
  const scaled = (side: number): number => Math.round(factor * side)
  return {
    smallestSide:
      typeof smallestSide === 'object'
        ? [scaled(smallestSide[0]), scaled(smallestSide[1])]
        : smallestSide && scaled(smallestSide),
    // a colour shift is along axes of red, green and blue
    colour: otherChannels ? undefined : colour,
  }
}

/** The head of the network, and which of its layers are new. */
function headOf(model: VggConfiguration, given: Given): { part: NoHead | HeadConfiguration; fresh: readonly string[] } {
  if (given.head === 'none') {
    refuseHeadOptions(given, "with head: 'none'", 'leave one of them out')
    return { part: { head: 'none' }, fresh: [] }
  }
  if (model.head === 'none' && given.classes === undefined) {
    refuseHeadOptions(given, 'for a model without a head', 'classes: N gives it a new head')
    return { part: { head: 'none' }, fresh: [] }
  }
  const { classes = 0, dropout = modelChecks.dropout.fallback, headWidth = modelChecks.headWidth.fallback } = model
  const part = {
    classes: given.classes ?? classes,
    dropout: given.dropout ?? dropout,
    headWidth: given.headWidth ?? headWidth,
  }
  if (model.head === 'none' || part.headWidth !== model.headWidth) return { part, fresh: head }
  const [window, other] = [windowOf(model, model.imageSize), windowOf(model, given.imageSize ?? model.imageSize)]
  if (window === other) return { part, fresh: part.classes === classes ? [] : ['fc8'] }
  if (given.headWidth !== undefined || part.classes !== classes) return { part, fresh: head }
  const cure = `give headWidth: ${headWidth} for a new head, or head: 'none'`
  const what = `a size for which fc6 has the model's window of ${window}, and not ${other},`
  throw unexpected(what, 'imageSize', given.imageSize, cure)
}

/** Window of fc6 for images of this size. */
const windowOf = ({ variant }: VggConfiguration, size: readonly number[]): string =>
  size.map((side) => Math.floor(side / 2 ** variant.blocks.length)).join('x')

/** How the input channels of conv1_1 are made from those of a model. */
interface Mix {
  readonly mean: readonly number[]
  readonly scale: readonly number[]
  /** For each channel, the factor of each channel of the model. */
  readonly factors: readonly (readonly number[])[]
}

/** Mean of numbers, of which there is one at least. */
export const meanOf = (numbers: readonly number[]): number =>
  numbers.reduce((sum, one) => sum + one, 0) / numbers.length

function mixOf({ meanRgb, scale }: VggConfiguration, channels: number, init: ChannelInit): Mix {
  const own = meanRgb.length
  const each = Array.from({ length: channels }, (_, channel) => channel)
  if (init === 'sum' && channels > 1) {
    const of = (channel: number): number => channel % own
    return {
      mean: each.map((channel) => meanRgb[of(channel)] ?? 0),
      scale: each.map((channel) => scale[of(channel)] ?? 0),
      factors: each.map((channel) => meanRgb.map((_, other) => (other === of(channel) ? own / channels : 0))),
    }
  }
  const [mean, common] = [meanOf(meanRgb), meanOf(scale)]
  const part = init === 'sum' ? 1 : 1 / own
  return {
    mean: each.map(() => mean),
    scale: each.map(() => common),
    factors: each.map(() => scale.map((one) => (part * one) / common)),
  }
}

/**
 * conv1_1 for other channels. The bias takes up what the kernels make of the difference of the means, so that only the
 * outermost pixels differ, where zero padding stands for the mean.
 */
function mixedLayer({ weight, bias }: FirstLayer, { meanRgb }: VggConfiguration, mix: Mix): FirstLayer {
  const own = meanRgb.length
  const taps = weight.length / (bias.length * own)
  const made = new Float32Array(bias.length * mix.factors.length * taps)
  const moved = Float64Array.from(bias)
  for (let output = 0; output < bias.length; output++) {
    mix.factors.forEach((factors, channel) => {
      factors.forEach((factor, other) => {
        const difference = factor * (mix.scale[channel] ?? 0) * ((meanRgb[other] ?? 0) - (mix.mean[channel] ?? 0))
        for (let tap = 0; tap < taps; tap++) {
          const value = weight[(output * own + other) * taps + tap] ?? 0
          const at = (output * mix.factors.length + channel) * taps + tap
          made[at] = (made[at] ?? 0) + factor * value
          moved[output] = (moved[output] ?? 0) - difference * value
        }
      })
    })
  }
  return { weight: made, bias: Float32Array.from(moved) }
}
