import { readGolden } from '../reference/golden.js'

/** The first convolution of a trained VGG-16: weights [64, 3, 3, 3] of red, green and blue, and biases. */
export function trainedFirst(): { weight: Float32Array<ArrayBuffer>; bias: Float32Array<ArrayBuffer> } {
  const { tensors } = readGolden('foreign/hed-conv1_1')
  const [weight, bias] = [tensors.get('weight'), tensors.get('bias')]
  if (weight === undefined || bias === undefined) throw new Error('the golden has no first convolution')
  return { weight: Float32Array.from(weight), bias: Float32Array.from(bias) }
}

/** Weights [o, 3, 3, 3] with the first and the third channel exchanged. */
export const exchanged = (weight: Float32Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(weight, (_, index) => {
    const channel = Math.floor(index / 9) % 3
    return weight[index + 9 * (2 - 2 * channel)] ?? 0
  })
