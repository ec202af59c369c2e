import { VggError } from '../error.js'
import { oneOf } from '../options.js'
import { variant } from '../vgg/variants.js'
import type { RunDescription } from './description.js'

/**
 * The training plans of the paper (Sect. 3.1).
 *
 * - `paper`: one training at a fixed S, from random weights by Glorot's rule, with which pre-training is not needed.
 * - `paper-transplant`: A from random weights of standard deviation 0.01; the deeper network from A's layers; from there
 *   with S = 384 at a tenth of the rate, and with random S from 256 to 512. For A itself, the second training is left out.
 */
export type PlanName = 'paper' | 'paper-transplant'

/** Check of {@link PlanName}. */
export const planName = oneOf('paper', 'paper-transplant')

/** One training of a plan. */
export interface PlanStage {
  /** Name of the training's folder in the folder of the run: '2-D-256'. */
  readonly name: string
  /** Description of the training. */
  readonly description: RunDescription
}

type Images = RunDescription['photographs']

/** A value of S from the paper, scaled from its crops of 224 pixels to crops of this size. */
const scaled = (paper: number, crop: number): number => Math.round((paper * crop) / 224)

function withSide(photographs: Images, crop: number, ...paper: [number] | [number, number]): Images {
  const [least, most] = paper
  const smallestSide = most === undefined ? scaled(least, crop) : ([scaled(least, crop), scaled(most, crop)] as const)
  return { ...photographs, smallestSide }
}

/**
 * The trainings of a plan, in order.
 *
 * @param base description of the run; the plan sets S, learning rates and starts
 * @param modelIn path of the final model of the training in a folder
 */
export function stagesOf(plan: PlanName, base: RunDescription, modelIn: (folder: string) => string): PlanStage[] {
  const { photographs, training } = base
  // a training that starts from a model initialises no weights
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
