// What is measured: a network, a batch, and what is done with it.
import type { Mode, Stored } from './roofline.js'

export interface Case {
  readonly variant: string
  readonly imageSize: number
  readonly batch: number
  readonly mode: Mode
  readonly headWidth: number
  readonly classes: number
}

/** How PyTorch runs a case; see peer_card.py. */
export type Way = 'eager' | 'compile' | 'graphs'

/** PyTorch's images per second times this are to be reached (VGG-16, one H100 or H200). */
export interface Goal {
  readonly way: Way
  readonly ratio: number
}

/** A training step, as a multiple of the least time of its layers. */
export const goalOverLeast = 1.25

const published = { imageSize: 224, headWidth: 4096, classes: 1000 }

/** VGG-16 first: what a time limit cuts off is the end. */
export const cardCases: readonly Case[] = ['D', 'A'].flatMap((variant) => [
  ...[256, 64].map((batch): Case => ({ ...published, variant, batch, mode: 'training' })),
  ...[256, 1, 32].map((batch): Case => ({ ...published, variant, batch, mode: 'inference' })),
])

/** CUDA graphs help where single launches are short. */
export function waysOf({ mode, batch }: Case): Way[] {
  return mode === 'inference' && batch <= 32 ? ['eager', 'compile', 'graphs'] : ['eager', 'compile']
}

export function goalOf({ variant, mode, batch }: Case): Goal | undefined {
  if (variant !== 'D') return undefined
  if (mode === 'training' && batch === 256) return { way: 'compile', ratio: 1.25 }
  if (mode === 'inference' && batch === 256) return { way: 'compile', ratio: 1.15 }
  if (mode === 'inference' && batch === 1) return { way: 'graphs', ratio: 1.3 }
  return undefined
}

export function caseText({ variant, imageSize, batch, mode }: Case): string {
  return `${variant} ${imageSize}x${imageSize} batch ${batch} ${mode}`
}

/** How a device that is not asked for a precision keeps its values. */
export const storedOf = (device: string): Stored => (device.startsWith('cuda') ? 'bf16' : 'float32')
