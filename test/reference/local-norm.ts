import { type Tensor64, zeros } from './tensor.js'

/** alpha is not divided by size (Krizhevsky 2012, as the paper cites it). size is odd. */
export interface LocalNorm {
  readonly size: number
  readonly k: number
  readonly alpha: number
  readonly beta: number
}

/** b = a / (k + alpha * sum of a^2 over `size` neighbouring channels)^beta */
export function localNorm(input: Tensor64, norm: LocalNorm): Tensor64 {
  const scales = scalesOf(input, norm)
  return { shape: input.shape, data: input.data.map((value, i) => value * scales[i] ** -norm.beta) }
}

export function localNormGradient(gradient: Tensor64, input: Tensor64, norm: LocalNorm): Tensor64 {
  const scales = scalesOf(input, norm)
  const ratio = gradient.data.map((value, i) => value * input.data[i] * scales[i] ** (-norm.beta - 1))
  const output = zeros(input.shape)
  visitWindows(input, norm, (i, neighbour) => {
    output.data[i] -= 2 * norm.alpha * norm.beta * input.data[i] * ratio[neighbour]
  })
  gradient.data.forEach((value, i) => {
    output.data[i] += value * scales[i] ** -norm.beta
  })
  return output
}

function scalesOf(input: Tensor64, norm: LocalNorm): Float64Array {
  const scales = new Float64Array(input.data.length).fill(norm.k)
  visitWindows(input, norm, (i, neighbour) => {
    scales[i] += norm.alpha * input.data[neighbour] ** 2
  })
  return scales
}

function visitWindows(
  { shape: [n, c, h, w] }: Tensor64,
  { size }: LocalNorm,
  body: (i: number, neighbour: number) => void,
): void {
  if (size % 2 === 0) throw new Error(`Expected an odd size for the local norm but received ${size}`)
  const half = size >> 1
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++)
      for (let other = Math.max(0, channel - half); other <= Math.min(c - 1, channel + half); other++)
        for (let pixel = 0; pixel < h * w; pixel++)
          body((image * c + channel) * h * w + pixel, (image * c + other) * h * w + pixel)
}
