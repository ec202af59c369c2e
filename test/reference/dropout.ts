import { highWord, lowWord, philox } from './philox.js'
import { elementCount, type Shape, type Tensor64, zeros } from './tensor.js'

/** Where in the stream of random bits a training step stands. */
export interface DropoutKey {
  readonly seed: number
  readonly step: number
  /** Index in the whole batch of the first image of this micro-batch. */
  readonly firstImage?: number
}

/**
 * The factor of every element: 0 where dropped, else 1 / (1 - probability). `stream` counts the layers with dropout
 * from 0. Element e of image i draws word e & 3 of Philox with counter (e >> 2, i, step low, step high ^ stream << 16).
 */
export function dropoutMask(shape: Shape, probability: number, stream: number, key: DropoutKey): Tensor64 {
  const mask = zeros(shape)
  const perImage = elementCount(shape.slice(1))
  const last = (highWord(key.step) ^ (stream << 16)) >>> 0
  for (let image = 0; image < shape[0]; image++)
    for (let first = 0; first < perImage; first += 4) {
      const counter = [first >> 2, image + (key.firstImage ?? 0), lowWord(key.step), last] as const
      const words = philox(counter, [lowWord(key.seed), highWord(key.seed)])
      for (let e = first; e < Math.min(first + 4, perImage); e++)
        mask.data[image * perImage + e] = words[e & 3] * 2 ** -32 < probability ? 0 : 1 / (1 - probability)
    }
  return mask
}

/** Forward and backward are the same product. */
export function dropout({ shape, data }: Tensor64, mask: Tensor64): Tensor64 {
  return { shape, data: data.map((value, i) => value * mask.data[i]) }
}
