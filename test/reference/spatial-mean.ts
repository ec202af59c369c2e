import { type Shape, type Tensor64, zeros } from './tensor.js'

/** The mean over space of each channel: n c 1 1. */
export function spatialMean({ shape: [n, c, h, w], data }: Tensor64): Tensor64 {
  const output = zeros([n, c, 1, 1])
  data.forEach((value, i) => {
    output.data[Math.floor(i / (h * w))] += value / (h * w)
  })
  return output
}

export function spatialMeanGradient(gradient: Tensor64, inputShape: Shape): Tensor64 {
  const pixels = inputShape[2] * inputShape[3]
  const output = zeros(inputShape)
  return { shape: inputShape, data: output.data.map((_, i) => gradient.data[Math.floor(i / pixels)] / pixels) }
}
