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
 * Input layer: y = (x - mean[c]) * scale[c], with x in the caller's pixel scale (0..255 for uint8 images). It is always
 * the first layer, and accepts uint8 images [n, h, w, c] and float32 images [n, c, h, w].
 */
export interface InputLayer {
  /** Kind of the layer. */
  readonly kind: 'input'
  /** Channels of the images, at least 1. */
  readonly channels: number
  /** Mean that is subtracted, one number for each channel. */
  readonly mean: readonly number[]
  /** Multiplier after that, one number for each channel. */
  readonly scale: readonly number[]
}

/** Convolution with bias, stride 1 and zero padding, which preserves height and width (Sect. 2.1). */
export interface ConvolutionLayer {
  /** Kind of the layer. */
  readonly kind: 'convolution'
  /** Name of the layer and of its output before the ReLU, such as 'conv1_1'. */
  readonly name: string
  /** Output channels, at least 1. */
  readonly outputs: number
  /** Side of the kernel. */
  readonly kernel: 1 | 3
  /** Name of the output after the ReLU, such as 'relu1_1'. Without it there is no ReLU. */
  readonly relu?: string
}

/** Max-pooling 2x2 with stride 2. An odd last row or column is ignored. */
export interface MaxPoolLayer {
  /** Kind of the layer. */
  readonly kind: 'max-pool'
  /** Name of the layer and of its output, such as 'pool1'. */
  readonly name: string
}

/**
 * Local response normalisation: a / (k + alpha * sum of a^2 over `size` neighbouring channels)^beta; alpha is not divided
 * by `size`.
 */
export interface LocalNormLayer {
  /** Kind of the layer. */
  readonly kind: 'local-norm'
  /** Name of the layer and of its output, such as 'norm1'. */
  readonly name: string
  /** Number of channels in the sum, odd. A-LRN uses 5. */
  readonly size: number
  /** Constant k. A-LRN uses 2, Caffe's AlexNet 1. */
  readonly k: number
  /** Factor of the sum. A-LRN uses 1e-4. */
  readonly alpha: number
  /** Exponent. A-LRN uses 0.75. */
  readonly beta: number
}

/**
 * Fully connected layer, computed as a convolution with a window of [height, width], stride 1 and no padding. For images of
 * the network's size the output is 1x1; on larger images the window slides (dense evaluation, Sect. 3.2).
 */
export interface LinearLayer {
  /** Kind of the layer. */
  readonly kind: 'linear'
  /** Name of the layer and of its output before the ReLU, such as 'fc6'. */
  readonly name: string
  /** Number of outputs, at least 1. */
  readonly outputs: number
  /** Height and width of the window in elements of its input: [7, 7] for fc6 at 224, [1, 1] for fc7 and fc8. */
  readonly window: readonly [height: number, width: number]
  /** Name of the output after the ReLU, such as 'relu6'. Without it there is no ReLU. */
  readonly relu?: string
  /** Dropout probability in training, after the ReLU: 0 to below 1. The paper uses 0.5. Default: no dropout. */
  readonly dropout?: number
}

/** Mean of a class map over height and width: [n, c, h, w] becomes [n, c, 1, 1]. */
export interface SpatialMeanLayer {
  /** Kind of the layer. */
  readonly kind: 'spatial-mean'
  /** Name of the layer and of its output, such as 'mean'. */
  readonly name: string
}

/** A layer of a network as plain data, discriminated by `kind`. */
export type Layer = InputLayer | ConvolutionLayer | MaxPoolLayer | LocalNormLayer | LinearLayer | SpatialMeanLayer

/** A parameter of a network, an array of weights or biases: 'conv1_1.weight' [64, 3, 3, 3], 'fc6.bias' [4096]. */
export interface Parameter {
  /** Name of the layer, followed by `.weight` or `.bias`. */
  readonly name: string
  /** Shape: [o, i, h, w] for a convolution's weight; [o, c * h * w] for a linear weight, columns in the order c, h, w. */
  readonly shape: readonly number[]
  /** Number of elements. */
  readonly count: number
}

const parameter = (name: string, shape: readonly number[]): Parameter => ({
  name,
  shape,
  count: shape.reduce((product, length) => product * length, 1),
})

/**
 * The parameters of a network in the order of its layers: weight and bias of each convolution and linear layer.
 * @param layers the layers, the input layer first
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

/** Returns the number of weights and biases of these layers: 138,357,544 for D with 1000 classes. */
export const parameterCount = (layers: readonly Layer[]): number =>
  parametersOf(layers).reduce((sum, { count }) => sum + count, 0)

/** Names of the tensors that `features` can return, in order: 'conv1_1', 'relu1_1', 'pool1', ..., 'fc8'. */
export const tensorNames = (layers: readonly Layer[]): string[] =>
  layers.flatMap((layer) => {
    if (layer.kind === 'input') return []
    return 'relu' in layer && layer.relu !== undefined ? [layer.name, layer.relu] : [layer.name]
  })

/**
 * The tensors from which a network can be computed: the output of each layer but the last one, with its number of channels,
 * in order: 'relu1_1', 'relu1_2', 'pool1', ..., 'relu7'.
 */
export function tensorsBetween(layers: readonly Layer[]): Map<string, number> {
  let channels = 0
  const found = new Map<string, number>()
  for (const layer of layers.slice(0, -1)) {
    if (layer.kind === 'input') channels = layer.channels
    if (layer.kind === 'convolution' || layer.kind === 'linear') channels = layer.outputs
    if (layer.kind !== 'input') found.set(('relu' in layer && layer.relu) || layer.name, channels)
  }
  return found
}

/** Names of the layers that have parameters. */
export const layersWithParameters = (layers: readonly Layer[]): string[] =>
  layers.flatMap((layer) => (layer.kind === 'convolution' || layer.kind === 'linear' ? [layer.name] : []))

/** The input layer, its channels, and the number of classes: the outputs of the last convolution or linear layer. */
export function endsOf(layers: readonly Layer[]): { input: InputLayer; channels: number; classes: number } {
  const [first] = layers
  const last = layers.findLast((layer) => layer.kind === 'convolution' || layer.kind === 'linear')
  if (first?.kind !== 'input') throw unexpected("a layer of kind 'input'", 'layers[0]', first)
  if (last === undefined) throw unexpected('at least one convolution or linear layer', 'layers', layers)
  return { input: first, channels: first.channels, classes: 'outputs' in last ? last.outputs : 0 }
}

/** Largest number of channels, outputs, and window height or width of a layer. */
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

function checkedLayer(value: unknown, path: string): Layer {
  if (!isObject(value)) throw unexpected('a layer', path, value)
  const kind = kinds(value.kind, `${path}.kind`)
  const { kind: _, ...rest } = value
  const read = readOptions(rest, `${path} ('${kind}')`, fields[kind])
  const present = Object.entries(read).filter(([, field]) => field !== undefined)
  return Object.freeze({ kind, ...Object.fromEntries(present) }) as Layer
}

/**
 * Check of layers given by a user: known kinds and fields, the input layer first and only there, one mean and scale for
 * each channel, unique names. The planner checks shapes.
 */
export const checkedLayers: Check<readonly Layer[]> = (value, path) => {
  if (!Array.isArray(value)) throw unexpected('an array of layers', path, value)
  if (value.length > mostLayers) throw unexpected(`at most ${mostLayers} layers`, path, value)
  const layers = Array.from(value, (layer, index) => checkedLayer(layer, `${path}[${index}]`))
  const { channels } = endsOf(layers)
  layers.forEach((layer, index) => {
    if (layer.kind !== 'input') return
    if (index !== 0) throw unexpected("no second layer of kind 'input'", `${path}[${index}]`, layer)
    for (const field of ['mean', 'scale'] as const) {
      if (layer[field].length === channels) continue
      throw unexpected(`${channels} numbers, one for each channel`, `${path}[0].${field}`, layer[field])
    }
  })
  const names = tensorNames(layers)
  const twice = names.find((one, index) => names.indexOf(one) !== index)
  if (twice !== undefined) throw unexpected('names that differ', path, twice)
  return Object.freeze(layers)
}
