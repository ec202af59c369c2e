import type { PixelSize } from '../data/images/crop.js'
import { elementCount, Tensor, valuesOf } from '../tensor.js'

/** The maps [n, h, w] of a tensor whose first axis is the images, each computed from the values of one. */
export function mapsOf(
  [images, height, width]: readonly [number, number, number],
  tensor: Tensor<'float32'>,
  map: (values: Float32Array, image: number) => Float32Array,
): Tensor<'float32'> {
  const values = valuesOf(tensor)
  const each = elementCount(tensor.shape.slice(1))
  const maps = Tensor.zeros([images, height, width])
  const into = valuesOf(maps)
  for (let image = 0; image < images; image++)
    into.set(map(values.subarray(image * each, (image + 1) * each), image), image * height * width)
  return maps
}

/** A map from 0 to 1, as pytorch-grad-cam scales it: a constant one becomes 0. */
export function normalised(map: Float32Array): Float32Array {
  const least = map.reduce((less, value) => Math.min(less, value), Number.POSITIVE_INFINITY)
  const most = map.reduce((more, value) => Math.max(more, value), Number.NEGATIVE_INFINITY)
  return map.map((value) => (value - least) / (1e-7 + (most - least)))
}

/** Where a pixel of the enlarged map lies among the samples of one axis: the two around it, and the share of the second. */
function samples(from: number, to: number): { first: number; second: number; share: number }[] {
  return Array.from({ length: to }, (_, pixel) => {
    const position = Math.min(Math.max(((pixel + 0.5) * from) / to - 0.5, 0), from - 1)
    const first = Math.floor(position)
    return { first, second: Math.min(first + 1, from - 1), share: position - first }
  })
}

/** A map enlarged by bilinear interpolation between the centres of its elements, as OpenCV and PyTorch do. */
export function enlarged(map: Float32Array, from: PixelSize, to: PixelSize): Float32Array {
  const columns = samples(from.width, to.width)
  const result = new Float32Array(to.height * to.width)
  for (const [row, down] of samples(from.height, to.height).entries()) {
    const [upper, lower] = [down.first * from.width, down.second * from.width]
    for (const [column, { first, second, share }] of columns.entries()) {
      const above = (map[upper + first] ?? 0) * (1 - share) + (map[upper + second] ?? 0) * share
      const below = (map[lower + first] ?? 0) * (1 - share) + (map[lower + second] ?? 0) * share
      result[row * to.width + column] = above * (1 - down.share) + below * down.share
    }
  }
  return result
}
