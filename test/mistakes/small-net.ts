import { Tensor } from '../../lib/index.js'

/** Options of a net that is opened in milliseconds. */
export const options = { variant: 'A', classes: 2, imageSize: 32, width: 0.125, headWidth: 32, device: 'cpu' } as const

/** Options of an update. */
export const rate = { learningRate: 0.01 }

/** Grey images that this net takes. */
export const grey = (count: number) => Tensor.from(new Uint8Array(count * 3072).fill(90), [count, 32, 32, 3])

/** A float32 tensor of pixels. */
export const floats = (...shape: number[]) =>
  Tensor.from(new Float32Array(shape.reduce((product, length) => product * length)).fill(90), shape)

/** What a program without types passes. */
export const untyped = (value: unknown) => value as never
