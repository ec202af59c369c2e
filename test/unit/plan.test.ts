import { describe, expect, test } from 'vitest'
import type { RunDescription } from '../../lib/run/description.js'
import { stagesOf } from '../../lib/run/plan.js'

const base: RunDescription = {
  data: { kind: 'folder', path: '/photos' },
  validation: 0.1,
  photographs: { randomCrop: true, flip: true, colour: true, onUnreadable: 'throw' },
  shift: 0,
  background: 0,
  flip: false,
  model: { variant: 'D', initialisation: 'he' },
  start: {},
  freeze: [],
  rateFactors: {},
  training: {
    epochs: 74,
    batch: 256,
    dropLast: false,
    learningRate: 0.01,
    momentum: 0.9,
    weightDecay: 5e-4,
    onNotFinite: 'stop',
  },
  checkpoints: { keep: 2, minutes: 10 },
  device: { device: 'cpu' },
  seed: 1,
}

const modelIn = (folder: string) => `/run/${folder}/model`

/** What a stage is about. */
const gist = (description: RunDescription) => ({
  variant: description.model.variant,
  initialisation: description.model.initialisation,
  side: description.photographs.smallestSide,
  rate: description.training.learningRate,
  start: description.start,
})

describe('paper-transplant', () => {
  test('is A, then the net with its layers, then 384, then jitter (Sect. 3.1)', () => {
    const stages = stagesOf('paper-transplant', base, modelIn)
    expect(stages.map(({ name, description }) => ({ name, ...gist(description) }))).toEqual([
      { name: '1-A-256', variant: 'A', initialisation: 'paper', side: 256, rate: 0.01, start: {} },
      {
        name: '2-D-256',
        variant: 'D',
        initialisation: 'paper',
        side: 256,
        rate: 0.01,
        start: { transplant: '/run/1-A-256/model' },
      },
      {
        name: '3-D-384',
        variant: 'D',
        initialisation: undefined,
        side: 384,
        rate: 0.001,
        start: { from: '/run/2-D-256/model' },
      },
      {
        name: '4-D-256-512',
        variant: 'D',
        initialisation: undefined,
        side: [256, 512],
        rate: 0.001,
        start: { from: '/run/3-D-384/model' },
      },
    ])
  })

  test('of A has no training before it', () => {
    const stages = stagesOf('paper-transplant', { ...base, model: { ...base.model, variant: 'VGG11' } }, modelIn)
    expect(stages.map(({ name }) => name)).toEqual(['1-A-256', '2-A-384', '3-A-256-512'])
    expect(stages[1]?.description.start).toEqual({ from: '/run/1-A-256/model' })
  })

  test('S follows the size of the crop', () => {
    const stages = stagesOf('paper-transplant', { ...base, model: { ...base.model, imageSize: [112, 112] } }, modelIn)
    expect(stages.map(({ description }) => description.photographs.smallestSide)).toEqual([128, 128, 192, [128, 256]])
  })

  test('takes no model to start from', () => {
    expect(() => stagesOf('paper-transplant', { ...base, start: { from: 'model' } }, modelIn)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('paper-transplant') }),
    )
  })
})

test('paper is one training, by Glorot, at 256 or at the given S', () => {
  const [stage, ...more] = stagesOf('paper', base, modelIn)
  expect(more).toEqual([])
  expect(stage && { name: stage.name, ...gist(stage.description) }).toEqual({
    name: '.',
    variant: 'D',
    initialisation: 'glorot',
    side: 256,
    rate: 0.01,
    start: {},
  })
  const jitter = { ...base, photographs: { ...base.photographs, smallestSide: [256, 512] as const } }
  expect(stagesOf('paper', jitter, modelIn)[0]?.description.photographs.smallestSide).toEqual([256, 512])
})
