// What is measured: a network, a batch, and what is done with it; and how fast that is to be beside its rivals.
import type { Case } from '../lib/measure/case.js'
import type { Stored } from './roofline.js'

export type { Case }

/** How PyTorch runs a case; see peer_torch.py. */
export type Way = 'eager' | 'compile' | 'graphs'

/** How PyTorch keeps images in memory. */
export const layouts = ['contiguous', 'channels_last'] as const
export type Layout = (typeof layouts)[number]

/** Whom we take turns with: on a card PyTorch in its ways, on a processor the others. */
export type PeerName = `PyTorch ${Way}` | 'PyTorch float32' | 'PyTorch bf16' | 'onnxruntime-node'

/** The peer's images per second times `ratio` are to be reached, times `floor` at least. */
export interface Goal {
  readonly peer: PeerName
  readonly ratio: number
  readonly floor: number
}

/** A training step on a card, as a multiple of the least time of its layers. */
export const goalOverLeast = 1.25

const published = { imageSize: 224, headWidth: 4096, classes: 1000 }

/** VGG-16 first: what a time limit cuts off is the end. */
export const cardCases: readonly Case[] = ['D', 'A'].flatMap((variant) => [
  ...[256, 64].map((batch): Case => ({ ...published, variant, batch, mode: 'training' })),
  ...[256, 1, 32].map((batch): Case => ({ ...published, variant, batch, mode: 'inference' })),
])

const goal = (peer: PeerName, ratio: number, floor = ratio): Goal => ({ peer, ratio, floor })
const vgg16 = { ...published, variant: 'D' }
const trainingOf16: Case = { ...vgg16, batch: 32, mode: 'training' }

/** The one case of onnxruntime-node: export_onnx.py makes its model for it. */
export const exportedCase: Case = { ...vgg16, batch: 8, mode: 'inference' }

/** On two cores of a processor, beside float32 and bf16 of PyTorch on the same. */
const processorGoals: readonly { case: Case; goals: readonly Goal[] }[] = [
  { case: trainingOf16, goals: [goal('PyTorch float32', 3.0, 2.6), goal('PyTorch bf16', 1.6, 1.4)] },
  {
    case: exportedCase,
    goals: [goal('PyTorch float32', 2.4, 2.2), goal('PyTorch bf16', 1.3, 1.15), goal('onnxruntime-node', 2)],
  },
  {
    case: { ...vgg16, batch: 1, mode: 'inference' },
    goals: [goal('PyTorch float32', 2.3, 2.1), goal('PyTorch bf16', 1.8, 1.5)],
  },
  {
    case: { variant: 'A', imageSize: 32, batch: 256, mode: 'training', headWidth: 4096, classes: 10 },
    goals: [goal('PyTorch float32', 2.2, 2.0), goal('PyTorch bf16', 1.3, 1.15)],
  },
]

export const processorCases: readonly Case[] = processorGoals.map((row) => row.case)

/** Where one thread is measured beside several, and what two are to bring. */
export const scalingCases: readonly Case[] = [trainingOf16, exportedCase]
export const goalOfScaling = { ratio: 1.85, floor: 1.85 }

export const sameCase = (one: Case, other: Case): boolean =>
  (Object.keys(one) as (keyof Case)[]).every((key) => one[key] === other[key])

/** CUDA graphs help where single launches are short. */
export function waysOf({ mode, batch }: Case): Way[] {
  return mode === 'inference' && batch <= 32 ? ['eager', 'compile', 'graphs'] : ['eager', 'compile']
}

/** VGG-16 on one H100 or H200. */
function cardGoals({ variant, mode, batch }: Case): readonly Goal[] {
  if (variant !== 'D') return []
  if (mode === 'training' && batch === 256) return [goal('PyTorch compile', 1.25)]
  if (mode === 'inference' && batch === 256) return [goal('PyTorch compile', 1.15)]
  if (mode === 'inference' && batch === 1) return [goal('PyTorch graphs', 1.3)]
  return []
}

/** What is asked of a case, peer by peer; of most cases nothing. */
export function goalsOf(one: Case, device: string): readonly Goal[] {
  if (device.startsWith('cuda')) return cardGoals(one)
  return processorGoals.find((row) => sameCase(row.case, one))?.goals ?? []
}

/** More of a processor in other hands makes a figure doubtful. */
export const mostBackgroundLoad = 0.15

export type Verdict = 'reached' | 'enough' | 'missed' | 'disturbed'

/**
 * 'enough': the floor only. Where others took much of the machine nothing is said for or against: threads that wait for each
 * other suffer more than their share of it.
 */
export function judged(
  ratio: number,
  { ratio: wanted, floor }: Pick<Goal, 'ratio' | 'floor'>,
  backgroundLoad: number | undefined,
): Verdict {
  if ((backgroundLoad ?? 0) > mostBackgroundLoad) return 'disturbed'
  if (ratio >= wanted) return 'reached'
  return ratio >= floor ? 'enough' : 'missed'
}

export function caseText({ variant, imageSize, batch, mode }: Case): string {
  return `${variant} ${imageSize}x${imageSize} batch ${batch} ${mode}`
}

/** How a device that is not asked for a precision keeps its values. */
export const storedOf = (device: string): Stored => (device.startsWith('cuda') ? 'bf16' : 'float32')
