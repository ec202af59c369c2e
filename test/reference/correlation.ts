import { type Shape, type Tensor64, zeros } from './tensor.js'

/**
 * A window that slides with stride 1: a convolution is a square window with pad = kernel >> 1, a linear layer is a
 * window without padding, whose columns c h w are the same bytes as a weight o c h w.
 */
export interface Window {
  readonly outputs: number
  readonly height: number
  readonly width: number
  readonly pad: number
}

export function correlationShape([n, , h, w]: Shape, window: Window): Shape {
  return [n, window.outputs, h + 2 * window.pad - window.height + 1, w + 2 * window.pad - window.width + 1]
}

/** weight: o c h w; bias: o. */
export function correlation(input: Tensor64, weight: Float64Array, bias: Float64Array, window: Window): Tensor64 {
  const output = zeros(correlationShape(input.shape, window))
  const plane = output.shape[2] * output.shape[3]
  for (let row = 0; row < output.shape[0] * window.outputs; row++)
    output.data.fill(bias[row % window.outputs], row * plane, (row + 1) * plane)
  visitRows(input.shape, window, (tap, from, to, count) => {
    const factor = weight[tap]
    for (let x = 0; x < count; x++) output.data[to + x] += factor * input.data[from + x]
  })
  return output
}

export function correlationInputGradient(
  gradient: Tensor64,
  weight: Float64Array,
  inputShape: Shape,
  window: Window,
): Tensor64 {
  const output = zeros(inputShape)
  visitRows(inputShape, window, (tap, from, to, count) => {
    const factor = weight[tap]
    for (let x = 0; x < count; x++) output.data[from + x] += factor * gradient.data[to + x]
  })
  return output
}

/** o c h w, summed over the batch. */
export function correlationWeightGradient(gradient: Tensor64, input: Tensor64, window: Window): Float64Array {
  const output = new Float64Array(window.outputs * input.shape[1] * window.height * window.width)
  visitRows(input.shape, window, (tap, from, to, count) => {
    let sum = 0
    for (let x = 0; x < count; x++) sum += gradient.data[to + x] * input.data[from + x]
    output[tap] += sum
  })
  return output
}

/** The bias gradient: the sum over images and positions of each channel. */
export function channelSums({ shape: [n, c, h, w], data }: Tensor64): Float64Array {
  const sums = new Float64Array(c)
  for (let row = 0; row < n * c; row++)
    for (let pixel = 0; pixel < h * w; pixel++) sums[row % c] += data[row * h * w + pixel]
  return sums
}

/** Calls body for every weight element and every pair of input row and output row that it joins. */
function visitRows(
  shape: Shape,
  window: Window,
  body: (tap: number, from: number, to: number, count: number) => void,
): void {
  const [n, c, h, w] = shape
  const [, outputs, height, width] = correlationShape(shape, window)
  for (let image = 0; image < n; image++)
    for (let output = 0; output < outputs; output++)
      for (let channel = 0; channel < c; channel++)
        for (let dy = 0; dy < window.height; dy++)
          for (let dx = 0; dx < window.width; dx++) {
            const tap = ((output * c + channel) * window.height + dy) * window.width + dx
            const first = Math.max(0, window.pad - dx)
            const count = Math.min(width, w + window.pad - dx) - first
            if (count <= 0) continue
            for (let y = Math.max(0, window.pad - dy); y < Math.min(height, h + window.pad - dy); y++) {
              const from = ((image * c + channel) * h + y + dy - window.pad) * w + first + dx - window.pad
              body(tap, from, ((image * outputs + output) * height + y) * width + first, count)
            }
          }
}
