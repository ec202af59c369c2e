import {
  arrayOf,
  type Check,
  type Checks,
  finite,
  float32,
  fraction,
  integer,
  isObject,
  nonNegative,
  oneOf,
  optional,
  positive,
  readOptions,
  text,
  unexpected,
} from './options.js'

/**
 * The input: y = (x - mean[c]) * scale[c], with x in the caller's pixel scale (0..255 for uint8 images).
 * Always the first layer. Accepts uint8 images n, h, w, c and float32 images n, c, h, w.
 */
export interface InputLayer {
  /** What it is. */
  readonly kind: 'input'
  /** Channels of the images: 1 or more. */
  readonly channels: number
  /** Subtracted first: one number for each channel. */
  readonly mean: readonly number[]
  /** Multiplied after that: one number for each channel. */
  readonly scale: readonly number[]
}

/** A convolution of stride 1 that keeps the resolution, with bias (Sect. 2.1). `relu` names the rectified output. */
export interface ConvolutionLayer {
  /** What it is. */
  readonly kind: 'convolution'
  /** Of the layer, and of what comes out before the ReLU: 'conv1_1'. */
  readonly name: string
  /** Channels that come out, from 1. */
  readonly outputs: number
  /** Side of the window; a border of zeros keeps the resolution. */
  readonly kernel: 1 | 3
  /** Name of the rectified output: 'relu1_1'. Absent: no ReLU. */
  readonly relu?: string
}

/** The maximum of 2 x 2 with stride 2; an odd last row or column is dropped. */
export interface MaxPoolLayer {
  /** What it is. */
  readonly kind: 'max-pool'
  /** 'pool1'. */
  readonly name: string
}

/** a / (k + alpha * sum of a^2 over `size` neighbouring channels)^beta; alpha is not divided by `size`. */
export interface LocalNormLayer {
  /** What it is. */
  readonly kind: 'local-norm'
  /** 'norm1'. */
  readonly name: string
  /** Channels in the sum, odd: 5. */
  readonly size: number
  /** 2, or 1 in Caffe's AlexNet. */
  readonly k: number
  /** 1e-4. */
  readonly alpha: number
  /** 0.75. */
  readonly beta: number
}

/**
 * A fully connected layer as a correlation with a window of [height, width], no padding, stride 1: at the network's
 * own image size it gives one position, on larger images it slides (dense evaluation, Sect. 3.2).
 * `dropout` is the share of the outputs set to 0 in training, after the ReLU.
 */
export interface LinearLayer {
  /** What it is. */
  readonly kind: 'linear'
  /** Of the layer, and of what comes out before the ReLU: 'fc6'. */
  readonly name: string
  /** Numbers that come out, from 1. */
  readonly outputs: number
  /** What it sees at a time, in positions of its input: [7, 7] for fc6 at 224, [1, 1] for fc7 and fc8. */
  readonly window: readonly [height: number, width: number]
  /** Name of the rectified output: 'relu6'. Absent: no ReLU. */
  readonly relu?: string
  /** From 0 to below 1; 0.5 in the paper. Absent: none. */
  readonly dropout?: number
}

/** The mean of a class map over space: n, c, h, w becomes n, c, 1, 1. */
export interface SpatialMeanLayer {
  /** What it is. */
  readonly kind: 'spatial-mean'
  /** 'mean'. */
  readonly name: string
}

/** One layer of a network, as plain data. */
export type Layer = InputLayer | ConvolutionLayer | MaxPoolLayer | LocalNormLayer | LinearLayer | SpatialMeanLayer

/** One array of weights or biases: 'conv1_1.weight' [64, 3, 3, 3] (o, i, h, w), 'fc6.bias' [4096]. */
export interface Parameter {
  /** Layer and role. */
  readonly name: string
  /** In logical order; the columns of a linear weight follow c, h, w. */
  readonly shape: readonly number[]
  /** The product of the shape. */
  readonly count: number
}

const parameter = (name: string, shape: readonly number[]): Parameter => ({
  name,
  shape,
  count: shape.reduce((product, length) => product * length, 1),
})

/**
 * The parameters that a description asks for, in order: for each convolution and linear layer its weight and bias.
 * The columns of a linear weight follow c, h, w.
 * @param layers a description whose input comes first
 */
export function parametersOf(layers: readonly Layer[]): Parameter[] {
  let channels = 0
  const found: Parameter[] = []
  for (const layer of layers) {
    if (layer.kind === 'input') channels = layer.channels
    if (layer.kind !== 'convolution' && layer.kind !== 'linear') continue
    const shape =
      layer.kind === 'convolution'
        ? [layer.outputs, channels, layer.kernel, layer.kernel]
        : [layer.outputs, channels * layer.window[0] * layer.window[1]]
    found.push(parameter(`${layer.name}.weight`, shape), parameter(`${layer.name}.bias`, [layer.outputs]))
    channels = layer.outputs
  }
  return found
}

/** The number of all weights and biases: 138,357,544 of D with 1000 classes. */
export const parameterCount = (layers: readonly Layer[]): number =>
  parametersOf(layers).reduce((sum, { count }) => sum + count, 0)

/** The names that `features` takes, in order: 'conv1_1', 'relu1_1', 'pool1', ..., 'fc8'. */
export const tensorNames = (layers: readonly Layer[]): string[] =>
  layers.flatMap((layer) => {
    if (layer.kind === 'input') return []
    return 'relu' in layer && layer.relu !== undefined ? [layer.name, layer.relu] : [layer.name]
  })

/** The layers that have parameters: what can be frozen or given a rate. */
export const layersWithParameters = (layers: readonly Layer[]): string[] =>
  layers.flatMap((layer) => (layer.kind === 'convolution' || layer.kind === 'linear' ? [layer.name] : []))

/** The channels of the image, and the outputs of the last layer that has any: the classes. */
export function endsOf(layers: readonly Layer[]): { channels: number; classes: number } {
  const [first] = layers
  const last = layers.findLast((layer) => layer.kind === 'convolution' || layer.kind === 'linear')
  if (first?.kind !== 'input') throw unexpected("a layer of kind 'input'", 'layers[0]', first)
  if (last === undefined) throw unexpected('at least one convolution or linear layer', 'layers', layers)
  return { channels: first.channels, classes: 'outputs' in last ? last.outputs : 0 }
}

/** The most channels, outputs and positions of a window that a layer may have. */
export const mostOutputs = 2 ** 24
const mostLayers = 4096

const size = integer(1, mostOutputs)

const kernel: Check<1 | 3> = (value, name) => {
  if (value === 1 || value === 3) return value
  throw unexpected('1 or 3', name, value)
}

const window: Check<[number, number]> = (value, name) => {
  if (!Array.isArray(value) || value.length !== 2) throw unexpected('[height, width]', name, value)
  return [size(value[0], `${name}[0]`), size(value[1], `${name}[1]`)]
}

const oddSize: Check<number> = (value, name) => {
  if (typeof value === 'number' && value % 2 === 1 && value >= 1 && value < mostOutputs) return value
  throw unexpected(`an odd integer from 1 to ${mostOutputs - 1}`, name, value)
}

const name = text
const fields = {
  input: { channels: size, mean: arrayOf(float32(finite)), scale: arrayOf(float32(finite)) },
  convolution: { name, outputs: size, kernel, relu: optional(text) },
  'max-pool': { name },
  'local-norm': { name, size: oddSize, k: float32(positive), alpha: float32(nonNegative), beta: float32(nonNegative) },
  linear: { name, outputs: size, window, relu: optional(text), dropout: optional(fraction) },
  'spatial-mean': { name },
} satisfies Record<Layer['kind'], Checks>

const kinds = oneOf(...(Object.keys(fields) as Layer['kind'][]))

function checkedLayer(value: unknown, position: string): Layer {
  if (!isObject(value)) throw unexpected('a layer', position, value)
  const kind = kinds(value.kind, `${position}.kind`)
  const { kind: _, ...rest } = value
  const read = readOptions(rest, `${position} ('${kind}')`, fields[kind])
  const present = Object.entries(read).filter(([, field]) => field !== undefined)
  return Object.freeze({ kind, ...Object.fromEntries(present) }) as Layer
}

/**
 * A description as given by a user, checked: known kinds and fields, the input first and only there, one mean and
 * scale for each channel, no name twice. Whether the shapes fit is for the planner to say.
 */
export const checkedLayers: Check<readonly Layer[]> = (value, position) => {
  if (!Array.isArray(value)) throw unexpected('an array of layers', position, value)
  if (value.length > mostLayers) throw unexpected(`at most ${mostLayers} layers`, position, value)
  const layers = Array.from(value, (layer, index) => checkedLayer(layer, `${position}[${index}]`))
  const { channels } = endsOf(layers)
  layers.forEach((layer, index) => {
    if (layer.kind !== 'input') return
    if (index !== 0) throw unexpected("no second layer of kind 'input'", `${position}[${index}]`, layer)
    for (const field of ['mean', 'scale'] as const) {
      if (layer[field].length === channels) continue
      throw unexpected(`${channels} numbers, one for each channel`, `${position}[0].${field}`, layer[field])
    }
  })
  const names = tensorNames(layers)
  const twice = names.find((one, index) => names.indexOf(one) !== index)
  if (twice !== undefined) throw unexpected('names that differ', position, twice)
  return Object.freeze(layers)
}
