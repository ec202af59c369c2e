import type { Layer } from '../../layer.js'

/**
 * Index of a convolution in PyTorch's `Sequential` of convolutions, their ReLUs and max-pools.
 * @param index index of the convolution among the convolutions, from 0
 */
export function sequentialIndex(layers: readonly Layer[], index: number): number {
  let [at, convolutions] = [0, 0]
  for (const { kind } of layers) {
    if (kind === 'convolution') {
      if (convolutions === index) return at
      convolutions += 1
      at += 2
    } else if (kind === 'max-pool') at += 1
  }
  return at
}
