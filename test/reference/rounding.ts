import type { Precision } from '../compare.js'

const floats = new Float32Array(1)
const words = new Uint32Array(floats.buffer)

/** The bfloat16 nearest to a number, ties to even. */
export function toBfloat16(value: number): number {
  floats[0] = value
  if (Number.isNaN(value)) return value
  words[0] = ((words[0] + 0x7fff + ((words[0] >>> 16) & 1)) & 0xffff0000) >>> 0
  return floats[0]
}

/** What a device does to each number that it stores: activations, their gradients, and the weights it multiplies with. */
export type Rounding = (value: number) => number

/** Of a precision; undefined where nothing is rounded that float32 would not round. */
export const roundingOf = (precision: Precision): Rounding | undefined =>
  precision === 'bf16' ? toBfloat16 : undefined
