import { naturalPixels } from './fingerprint.js'
import type { Moments } from './moments.js'

/** The first convolution: weights [o, 3, h, w] of red, green and blue, and biases. */
export interface FirstConvolution {
  readonly weight: Float32Array
  readonly bias: Float32Array
}

/** Kernels of one output, one for each channel. */
function kernelsOf({ weight, bias }: FirstConvolution): Float32Array[][] {
  const taps = weight.length / bias.length / 3
  return Array.from(bias, (_, output) =>
    [0, 1, 2].map((channel) => weight.subarray((output * 3 + channel) * taps, (output * 3 + channel + 1) * taps)),
  )
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/**
 * The direction of colour in which a kernel answers, [red, green, blue] of length 1, if it is close to grey and the kernel
 * answers in no other; undefined for kernels of colours. It is the first eigenvector of the channels' products.
 */
function greyDirection(kernels: readonly Float32Array[]): readonly number[] | undefined {
  const products = kernels.map((one) => kernels.map((other) => dot(one, other)))
  const trace = [0, 1, 2].reduce((sum, channel) => sum + (products[channel]?.[channel] ?? 0), 0)
  let direction = [1, 1, 1]
  let value = 0
  for (let round = 0; round < 30; round++) {
    const next = products.map((row) => dot(row, direction))
    value = Math.sqrt(dot(next, next))
    if (value === 0) return undefined
    direction = next.map((one) => one / value)
  }
  return value > 0.9 * trace && Math.min(...direction) > 0.3 ? direction : undefined
}

/** Least number of grey kernels from which the order of channels is recognised, of 64. */
const leastGrey = 8
/** Weight of red over that of blue in grey kernels: 1.17 in the authors' trunk, and so 0.86 in the reversed order. */
const leastRedOverBlue = 0.9

/**
 * Suspects that the channels of the first layer are blue, green, red: kernels for edges of any colour weigh blue, the channel
 * with the most noise, least.
 */
export function reversedChannels(first: FirstConvolution): string | undefined {
  const grey = kernelsOf(first)
    .map(greyDirection)
    .filter((direction) => direction !== undefined)
  const ratio = median(grey.map(([red = 0, , blue = 1]) => red / blue))
  if (grey.length < leastGrey || ratio > leastRedOverBlue) return undefined
  return `conv1_1 seems to take blue, green, red: its ${grey.length} kernels for edges weigh red ${ratio.toFixed(2)} times as much as blue, and trained ones weigh it more`
}

/** Mean and scale of red, green and blue. */
export interface PixelRange {
  readonly meanRgb: readonly number[]
  readonly scale: readonly number[]
}

/** Kernels that answer most to flat colours. */
const flatKernels = 8
/** Answer to a flat image of mean colour over that to the contrast of an image, from which it is suspected. */
const mostOffset = 0.8

/**
 * Suspects a wrong mean or scale: to a flat image of the mean colour of ImageNet the kernels for flat colours should answer
 * little, compared with their answer to the contrast of an image.
 */
export function wrongPixels(first: FirstConvolution, { meanRgb, scale }: PixelRange): string | undefined {
  const kernels = kernelsOf(first).map((channels, output) => {
    const sums = channels.map((taps, channel) => (scale[channel] ?? 1) * taps.reduce((sum, tap) => sum + tap, 0))
    const contrast = naturalPixels.deviation * Math.abs(sums.reduce((sum, one) => sum + one, 0))
    const bias = first.bias[output] ?? 0
    const offset = dot(
      sums,
      naturalPixels.meanRgb.map((mean, channel) => mean - (meanRgb[channel] ?? 0)),
    )
    return { contrast, bias: Math.abs(bias) / contrast, both: Math.abs(bias + offset) / contrast }
  })
  const flat = kernels.sort((a, b) => b.contrast - a.contrast).slice(0, flatKernels)
  const [bias, both] = [median(flat.map((kernel) => kernel.bias)), median(flat.map((kernel) => kernel.both))]
  if (bias >= mostOffset)
    return `the scale of the pixels seems too small: the biases of conv1_1 are ${bias.toFixed(1)} times the answer to the contrast of an image`
  if (both < mostOffset) return undefined
  return `the mean of the pixels seems wrong: conv1_1 answers a flat grey image ${both.toFixed(1)} times as much as the contrast of an image`
}

/** fc6: weights [o, c * h * w]. */
export interface FirstLinear {
  readonly weight: Float32Array
  readonly outputs: number
  readonly window: readonly [height: number, width: number]
}

/** Most outputs that are looked at. */
const mostRows = 128
/** By how much the correlation of neighbours in another order exceeds that in ours where it is suspected, and how many times. */
const [leastExcess, leastTimes] = [0.05, 2]

/**
 * Suspects that the columns of fc6 are in another order: in a trained net the weights of neighbouring positions of the feature
 * map are similar, and those of neighbouring channels are not.
 */
export function otherFlattening({ weight, outputs, window }: FirstLinear): string | undefined {
  const [height, width] = window
  const columns = weight.length / outputs
  const [size, channels] = [height * width, columns / (height * width)]
  if (width === 1 || channels === 1) return undefined
  const positions = {
    own: (channel: number, at: number) => channel * size + at,
    hwc: (channel: number, at: number) => at * channels + channel,
    // channels first, but moved as if they were last
    chw: (channel: number, at: number) => {
      const column = channel * size + at
      return (column % channels) * size + Math.floor(column / channels)
    },
  }
  const rows = Math.min(outputs, mostRows)
  const sampled = centred(weight.subarray(0, rows * columns), rows)
  const correlations = Object.entries(positions).map(([order, column]) => {
    return { order, correlation: neighbourCorrelation(sampled, { rows, channels, height, width, column }) }
  })
  const own = correlations[0]?.correlation ?? 0
  const best = correlations.reduce((a, b) => (b.correlation > a.correlation ? b : a))
  if (best.order === 'own' || best.correlation < Math.max(own + leastExcess, leastTimes * own)) return undefined
  const truth = best.order === 'hwc' ? 'rows, columns, channels (Keras)' : 'channels, rows, columns (PyTorch, Caffe)'
  return `the columns of fc6 seem to be in the order ${truth}: the weights of neighbouring positions correlate by ${best.correlation.toFixed(2)} then, and by ${own.toFixed(2)} as they were read`
}

/** The rows without their means, which all columns share in any order. */
function centred(weight: Float32Array, rows: number): Float32Array {
  const columns = weight.length / rows
  const made = weight.slice()
  for (let row = 0; row < rows; row++) {
    const values = made.subarray(row * columns, (row + 1) * columns)
    const mean = values.reduce((sum, value) => sum + value, 0) / columns
    for (let column = 0; column < columns; column++) values[column] = (values[column] ?? 0) - mean
  }
  return made
}

interface MapOrder {
  readonly rows: number
  readonly channels: number
  readonly height: number
  readonly width: number
  column(channel: number, at: number): number
}

/** Correlation of weights that are side by side in the feature map. */
function neighbourCorrelation(weight: Float32Array, { rows, channels, height, width, column }: MapOrder): number {
  const columns = channels * height * width
  let [products, squares] = [0, 0]
  for (let channel = 0; channel < channels; channel++) {
    for (let at = 0; at < height * width; at++) {
      if (at % width === width - 1) continue
      const [left, right] = [column(channel, at), column(channel, at + 1)]
      for (let row = 0; row < rows * columns; row += columns) {
        const [a, b] = [weight[row + left] ?? 0, weight[row + right] ?? 0]
        products += a * b
        squares += (a * a + b * b) / 2
      }
    }
  }
  return squares === 0 ? 0 : products / squares
}

/** Kurtosis of random initial weights, normal and uniform, and how far that of as many numbers may be from it. */
const [initialKurtosis, tolerance] = [[3, 1.8], 0.25]
/** Least number of weights whose kurtosis says something. */
const leastWeights = 1000

/** Suspects weights that were never trained: all biases 0, and all weights distributed as random initial ones are. */
export function untrained(parameters: readonly (Moments & { readonly name: string })[]): string | undefined {
  const biases = parameters.filter(({ name }) => name.endsWith('.bias'))
  const weights = parameters.filter(({ name, count }) => name.endsWith('.weight') && count >= leastWeights)
  if (biases.some(({ zeros }) => zeros < 1) || weights.length === 0) return undefined
  const initial = weights.every(({ kurtosis }) =>
    initialKurtosis.some((expected) => Math.abs(kurtosis - expected) < tolerance),
  )
  return initial
    ? 'the weights seem to be random initial ones: all biases are 0, and the weights are normal or uniform'
    : undefined
}
