// The cases that are measured, and the goals for their speed compared with the baselines.
import type { Case } from '../lib/measure/ours.js'
import type { Stored } from './roofline.js'

export type { Case }

/** How PyTorch runs a case; see baseline_torch.py. */
export type Way = 'eager' | 'compile' | 'graphs'

/** Memory layouts of images in PyTorch. */
export const layouts = ['contiguous', 'channels_last'] as const
export type Layout = (typeof layouts)[number]

/** The baselines: on a GPU PyTorch in its ways, on the CPU the others. */
export type BaselineName = `PyTorch ${Way}` | 'PyTorch float32' | 'PyTorch bf16' | 'onnxruntime-node'

/** The goal is `ratio` times the images per second of a baseline, and at least `floor` times. The names are keys of the JSON. */
export interface Goal {
  readonly peer: BaselineName
  readonly ratio: number
  readonly floor: number
}

/** Goal for a training step on a GPU, as a multiple of the least time of its layers. */
export const goalOverLeast = 1.25

const published = { imageSize: 224, headWidth: 4096, classes: 1000 }

/** VGG-16 comes first: a time limit leaves out the last cases. */
export const gpuCases: readonly Case[] = ['D', 'A'].flatMap((variant) => [
  ...[256, 64].map((batch): Case => ({ ...published, variant, batch, mode: 'training' })),
  ...[256, 1, 32].map((batch): Case => ({ ...published, variant, batch, mode: 'inference' })),
])

const goal = (peer: BaselineName, ratio: number, floor = ratio): Goal => ({ peer, ratio, floor })
const vgg16 = { ...published, variant: 'D' }
const vgg16Training: Case = { ...vgg16, batch: 32, mode: 'training' }

/** The only case of onnxruntime-node. `baseline_torch.py export` writes its model. */
export const exportedCase: Case = { ...vgg16, batch: 8, mode: 'inference' }

/** Goals on two cores of a CPU. PyTorch runs in float32 and bf16 on the same cores. */
const cpuGoals: readonly { case: Case; goals: readonly Goal[] }[] = [
  { case: vgg16Training, goals: [goal('PyTorch float32', 3.0, 2.6), goal('PyTorch bf16', 1.6, 1.4)] },
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

export const cpuCases: readonly Case[] = cpuGoals.map((row) => row.case)

/** The cases in which one thread is compared with several, and the goal for two threads. */
export const scalingCases: readonly Case[] = [vgg16Training, exportedCase]
export const goalOfScaling = { ratio: 1.85, floor: 1.85 }

export const sameCase = (a: Case, b: Case): boolean =>
  (Object.keys(a) as (keyof Case)[]).every((key) => a[key] === b[key])

/** The ways in which PyTorch runs a case on a GPU. CUDA graphs help where single launches are short. */
export function waysOf({ mode, batch }: Case): Way[] {
  return mode === 'inference' && batch <= 32 ? ['eager', 'compile', 'graphs'] : ['eager', 'compile']
}

/** Goals for VGG-16 on one H100 or H200. */
function gpuGoals({ variant, mode, batch }: Case): readonly Goal[] {
  if (variant !== 'D') return []
  if (mode === 'training' && batch === 256) return [goal('PyTorch compile', 1.25)]
  if (mode === 'inference' && batch === 256) return [goal('PyTorch compile', 1.15)]
  if (mode === 'inference' && batch === 1) return [goal('PyTorch graphs', 1.3)]
  return []
}

/** The goals of a case on a device, one for each baseline; most cases have none. */
export function goalsOf(benchCase: Case, device: string): readonly Goal[] {
  if (device.startsWith('cuda')) return gpuGoals(benchCase)
  return cpuGoals.find((row) => sameCase(row.case, benchCase))?.goals ?? []
}

/** A figure that was taken with more background load than this share of the machine is doubtful. */
export const mostBackgroundLoad = 0.15

/** The result for a goal. 'enough': only the floor is reached. 'disturbed': too much background load for a result. */
export type GoalResult = 'reached' | 'enough' | 'missed' | 'disturbed'

/** Compares a ratio with its goal. Under background load, threads that wait for each other lose more than its share. */
export function goalResult(
  ratio: number,
  goal: Pick<Goal, 'ratio' | 'floor'>,
  backgroundLoad: number | undefined,
): GoalResult {
  if ((backgroundLoad ?? 0) > mostBackgroundLoad) return 'disturbed'
  if (ratio >= goal.ratio) return 'reached'
  return ratio >= goal.floor ? 'enough' : 'missed'
}

export function caseText({ variant, imageSize, batch, mode }: Case): string {
  return `${variant} ${imageSize}x${imageSize} batch ${batch} ${mode}`
}

/** The precision of a device's values if no precision is given. */
export const storedOf = (device: string): Stored => (device.startsWith('cuda') ? 'bf16' : 'float32')
