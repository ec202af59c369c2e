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
  const [sums, values, width, outputWidth] = [output.data, input.data, input.shape[3], output.shape[3]]
  visitTaps(input.shape, window, (tap, first, firstOutput, rows, count) => {
    const factor = weight[tap]
    for (let y = 0; y < rows; y++) {
      const [from, to] = [first + y * width, firstOutput + y * outputWidth]
      for (let x = 0; x < count; x++) sums[to + x] += factor * values[from + x]
    }
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
  const [sums, values, width, outputWidth] = [output.data, gradient.data, inputShape[3], gradient.shape[3]]
  visitTaps(inputShape, window, (tap, first, firstOutput, rows, count) => {
    const factor = weight[tap]
    for (let y = 0; y < rows; y++) {
      const [from, to] = [first + y * width, firstOutput + y * outputWidth]
      for (let x = 0; x < count; x++) sums[from + x] += factor * values[to + x]
    }
  })
  return output
}

/** o c h w, summed over the batch. */
export function correlationWeightGradient(gradient: Tensor64, input: Tensor64, window: Window): Float64Array {
  const output = new Float64Array(window.outputs * input.shape[1] * window.height * window.width)
  const [gradients, values, width, outputWidth] = [gradient.data, input.data, input.shape[3], gradient.shape[3]]
  visitTaps(input.shape, window, (tap, first, firstOutput, rows, count) => {
    for (let y = 0; y < rows; y++) {
      const [from, to] = [first + y * width, firstOutput + y * outputWidth]
      let sum = 0
      for (let x = 0; x < count; x++) sum += gradients[to + x] * values[from + x]
      output[tap] += sum
    }
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

/**
 * Calls body for every image and weight element, with the first input element and the first output element that it joins, and
 * the rows and elements of each row in which it joins others. Once for each row would call it too often to be fast.
 */
function visitTaps(
  shape: Shape,
  window: Window,
  body: (tap: number, first: number, firstOutput: number, rows: number, count: number) => void,
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
            const y = Math.max(0, window.pad - dy)
            const rows = Math.min(height, h + window.pad - dy) - y
            if (count <= 0 || rows <= 0) continue
            const from = ((image * c + channel) * h + y + dy - window.pad) * w + first + dx - window.pad
            body(tap, from, ((image * outputs + output) * height + y) * width + first, rows, count)
          }
}
