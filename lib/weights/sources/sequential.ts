import type { WantedTensor } from './source.js'

/**
 * Index of a convolution in PyTorch's `Sequential` of convolutions and max-pools.
 * @param each number of layers of each convolution: 2 with its ReLU
 */
export function sequentialIndex({ layers, index }: Pick<WantedTensor, 'layers' | 'index'>, each: number): number {
  let [pools, convolutions] = [0, 0]
  for (const { kind } of layers) {
    if (kind === 'convolution' && convolutions++ === index) break
    if (kind === 'max-pool') pools++
  }
  return each * index + pools
}
