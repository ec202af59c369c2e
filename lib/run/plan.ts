import { VggError } from '../error.js'
import { variant } from '../vgg/variants.js'
import type { RunDescription } from './description.js'

/**
 * The paper's ways of training (Sect. 3.1).
 *
 * - `paper`: one training at a fixed S, from random weights by Glorot's rule, which the authors found to make the
 *   pre-training needless.
 * - `paper-transplant`: A from random weights of standard deviation 0.01; the deeper net with A's layers; on from there
 *   with S = 384 at rate 1e-3, and with S drawn from 256 to 512. A itself has no deeper net to wait for.
 */
export type PlanName = 'paper' | 'paper-transplant'

/** One training of a plan. */
export interface PlanStage {
  /** Of its folder, in the plan's folder: '2-D-256'. */
  readonly name: string
  /** What it is made of. */
  readonly description: RunDescription
}

type Images = RunDescription['photographs']

/** S of the paper, for its crops of 224 pixels, as it is for crops of this size. */
const scaled = (paper: number, crop: number): number => Math.round((paper * crop) / 224)

function withSide(photographs: Images, crop: number, ...paper: [number] | [number, number]): Images {
  const [least, most] = paper
  const smallestSide = most === undefined ? scaled(least, crop) : ([scaled(least, crop), scaled(most, crop)] as const)
  return { ...photographs, smallestSide }
}

/**
 * The trainings of a plan, in their order. Pure.
 *
 * @param base what was asked for; the plan sets S, rates and starts
 * @param modelIn the model that the training in this folder of the plan ends with
 */
export function stagesOf(plan: PlanName, base: RunDescription, modelIn: (folder: string) => string): PlanStage[] {
  const { photographs, training } = base
  // with a model to start from, there are no weights to initialise
  const { initialisation: _, ...model } = base.model
  const crop = Math.min(...(model.imageSize ?? [224, 224]))
  const fixed = withSide(photographs, crop, 256)
  if (plan === 'paper') {
    const description = {
      ...base,
      photographs: { ...fixed, ...photographs },
      model: base.start.from === undefined ? { ...model, initialisation: 'glorot' as const } : base.model,
    }
    return [{ name: '.', description }]
  }
  const { from, transplant } = base.start
  if (from !== undefined || transplant !== undefined) {
    const message =
      'Expected no model to start from for the plan paper-transplant, which makes its own, but received one'
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const { name: letter } = variant(model.variant, 'variant')
  const random = { ...model, initialisation: 'paper' as const }
  const smallRate = { ...training, learningRate: training.learningRate / 10 }
  const stages: PlanStage[] = []
  function add(name: string, changes: Partial<RunDescription>): string {
    const folder = `${stages.length + 1}-${name}`
    stages.push({ name: folder, description: { ...base, ...changes } })
    return modelIn(folder)
  }
  const ofA = add('A-256', { model: { ...random, variant: 'A' }, photographs: fixed })
  const first =
    letter === 'A' ? ofA : add(`${letter}-256`, { model: random, photographs: fixed, start: { transplant: ofA } })
  const second = add(`${letter}-384`, {
    model,
    photographs: withSide(photographs, crop, 384),
    start: { from: first },
    training: smallRate,
  })
  add(`${letter}-256-512`, {
    model,
    photographs: withSide(photographs, crop, 256, 512),
    start: { from: second },
    training: smallRate,
  })
  return stages
}
