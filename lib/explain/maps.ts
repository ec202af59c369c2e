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
