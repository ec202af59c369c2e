import type { CpuTuning } from '../platform/native.js'

/** A convolution of 3x3. */
export interface Shape {
  readonly batch: number
  readonly channels: number
  readonly outputs: number
  /** Height and width of the images. */
  readonly side: number
}

/** One size of a tuning, what it is measured on, and what it may become besides the default. */
export interface Dial {
  readonly name: keyof CpuTuning
  readonly values: readonly number[]
  /** 'backward': the gradient of the weights. */
  readonly direction: 'forward' | 'backward'
  readonly shapes: readonly Shape[]
}

const kibibyte = 2 ** 10
const mebibyte = 2 ** 20

const square = (channels: number, side: number, batch: number): Shape => ({
  batch,
  channels,
  outputs: channels,
  side,
})

/** In the order in which they are measured: each goes by what was chosen before. */
export const dials: readonly Dial[] = [
  {
    // weights that every thread's cache holds
    name: 'ownBlock',
    values: [256 * kibibyte, 512 * kibibyte, mebibyte, 2 * mebibyte],
    direction: 'forward',
    shapes: [square(64, 112, 4), square(128, 56, 8)],
  },
  {
    // weights that are read once for many tiles
    name: 'sharedBlock',
    values: [6 * mebibyte, 12 * mebibyte, 24 * mebibyte, 48 * mebibyte],
    direction: 'forward',
    shapes: [square(512, 28, 8)],
  },
  {
    // sums that all threads share
    name: 'gradientBlock',
    values: [0.5, 1, 2, 4],
    direction: 'backward',
    shapes: [square(256, 28, 8), square(512, 14, 16)],
  },
]
