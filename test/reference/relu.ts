import type { Tensor64 } from './tensor.js'

export function relu({ shape, data }: Tensor64): Tensor64 {
  return { shape, data: data.map((value) => (value > 0 ? value : 0)) }
}

/** Zero where the input was not above zero. */
export function reluGradient(gradient: Tensor64, input: Tensor64): Tensor64 {
  return { shape: gradient.shape, data: gradient.data.map((value, i) => (input.data[i] > 0 ? value : 0)) }
}
