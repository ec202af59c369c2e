import { expect } from 'vitest'
import type { Network } from '../../lib/network/network.js'
import { trainingCase } from '../cases.js'
import { expectClose, expectEqual, gradientTolerance, outputTolerance, type Tolerance } from '../compare.js'
import { onEachDevice, precisionOf, type TestDevice } from '../devices.js'
import { formulaIndices } from '../reference/formula.js'
import { softmaxLoss } from '../reference/loss.js'
import { ReferenceRun } from '../reference/network.js'
import { type Rounding, roundingOf } from '../reference/rounding.js'
import { sgd } from '../reference/sgd.js'
import { expectGradients, imagesOf, networkOf, pixelsOf, referenceParameters } from './run-case.js'

const float32 = { relative: 5e-6 }
const seed = 9
const images = imagesOf(trainingCase)
const batch = trainingCase.shape[0]
const labels = formulaIndices('training/labels', batch, 7)

/** The reference's parameters, and what training does to them. */
class ReferenceTraining {
  readonly parameters = referenceParameters(trainingCase)
  readonly velocities = new Map([...this.parameters].map(([name, values]) => [name, new Float64Array(values.length)]))
  readonly above: Tolerance
  readonly below: Tolerance
  readonly rounding: Rounding | undefined
  #step = 0

  constructor(device: TestDevice) {
    const precision = precisionOf(device)
    this.rounding = roundingOf(precision)
    this.above = outputTolerance(precision, float32)
    this.below = gradientTolerance(precision, float32)
  }

  gradients() {
    const options = { dropout: { seed, step: this.#step }, rounding: this.rounding }
    const run = new ReferenceRun(trainingCase.layers, this.parameters, pixelsOf(trainingCase), options)
    const { loss, gradient } = softmaxLoss(run.output, labels)
    return { loss, logits: run.output.data, ...run.backward(gradient) }
  }

  step(
    rates: Readonly<Record<string, number>>,
    learningRate: number,
  ): { loss: number; correct: number; correct5: number } {
    const { loss, logits, parameters } = this.gradients()
    for (const [name, values] of this.parameters) {
      const rate = rates[name.split('.')[0]] ?? 1
      const options = { learningRate: learningRate * rate, momentum: 0.9, weightDecay: 0.125 }
      if (rate !== 0) sgd(values, this.velocities.get(name)!, parameters.get(name)!, options)
    }
    this.#step++
    const ranks = labels.map((label, i) => {
      const row = logits.subarray(i * 7, i * 7 + 7)
      return row.filter((value) => value > row[label]).length
    })
    return { loss, correct: ranks.filter((r) => r < 1).length, correct5: ranks.filter((r) => r < 5).length }
  }
}

/**
 * Where a device rounds, the reference continues from the network's weights: weights that differ a little make another of
 * four the largest here and there, and step by step would differ more.
 */
async function expectState(network: Network, training: ReferenceTraining): Promise<void> {
  for (const [name, values] of training.parameters) {
    const parameter = await (await network.parameter(name)).data()
    expectClose(name, parameter, values, training.below)
    const velocities = training.velocities.get(name) ?? new Float64Array()
    const velocity = await (await network.velocity(name)).data()
    expectClose(`velocity of ${name}`, velocity, velocities, training.below)
    if (!training.rounding) continue
    values.set(parameter)
    velocities.set(velocity)
  }
}

const options = { momentum: 0.9, weightDecay: 0.125 }
const cases = [
  { name: 'whole batch', microBatch: undefined },
  { name: 'micro-batches of 2', microBatch: 2 },
  { name: 'micro-batches of 4, the last of 2', microBatch: 4 },
  { name: 'micro-batches of 1', microBatch: 1 },
]

onEachDevice('step equals the reference', cases, async (device, { microBatch }) => {
  const network = await networkOf(trainingCase, { device, exact: true, seed })
  try {
    const training = new ReferenceTraining(device)
    for (const learningRate of [0.02, 0.02, 0.005]) {
      const expected = training.step({}, learningRate)
      const found = await network.step(images, labels, { ...options, learningRate, ...(microBatch && { microBatch }) })
      expectClose('loss', [found.loss], [expected.loss], training.above)
      expect(found).toMatchObject({ correct: expected.correct, correct5: expected.correct5 })
      await expectState(network, training)
    }
  } finally {
    network.dispose()
  }
})

onEachDevice('accumulated gradients equal those of the whole batch', cases, async (device, { microBatch = batch }) => {
  const network = await networkOf(trainingCase, { device, exact: true, seed })
  try {
    const training = new ReferenceTraining(device)
    const expected = training.gradients()
    // twice: the second round must replace what the first has left
    for (const round of [1, 2]) {
      let loss = 0
      for (let first = 0; first < batch; first += microBatch) {
        const end = Math.min(batch, first + microBatch)
        await network.forward(images.slice(first, end), { training: true, firstImage: first })
        const part = await network.backward(labels.slice(first, end), { accumulate: first > 0, batch })
        loss += part.loss ?? Number.NaN
      }
      expectClose(`loss of round ${round}`, [loss], [expected.loss], training.above)
      await expectGradients(network, expected.parameters, training.below)
    }
    training.step({}, 0.02)
    await network.update({ ...options, learningRate: 0.02 })
    await expectState(network, training)
    expect(network.trainingStep).toBe(1)
  } finally {
    network.dispose()
  }
})

const freezing = [
  { name: 'the first layer', frozen: ['conv1_1'] },
  { name: 'a layer in the middle', frozen: ['fc6'] },
  { name: 'the first of two convolutions', frozen: ['conv2_1'] },
  { name: 'all convolutions', frozen: ['conv1_1', 'conv2_1', 'conv2_2'] },
  { name: 'all but the first layer', frozen: ['conv2_1', 'conv2_2', 'fc6', 'fc7', 'fc8'] },
  { name: 'all layers', frozen: ['conv1_1', 'conv2_1', 'conv2_2', 'fc6', 'fc7', 'fc8'] },
]

onEachDevice('frozen layers stay, the others learn as before', freezing, async (device, { frozen }) => {
  const network = await networkOf(trainingCase, { device, exact: true, seed })
  try {
    const training = new ReferenceTraining(device)
    const step = async (rates: Readonly<Record<string, number>>) => {
      const expected = training.step(rates, 0.02)
      const { loss } = await network.step(images, labels, { ...options, learningRate: 0.02 })
      expectClose('loss', [loss], [expected.loss], training.above)
      await expectState(network, training)
    }
    await step({}) // the velocity of a frozen layer must not move it either
    const before = await Promise.all(frozen.map(async (name) => (await network.parameter(`${name}.weight`)).data()))
    network.freeze(frozen)
    const rates = Object.fromEntries(frozen.map((name) => [name, 0]))
    await step(rates)
    await step(rates)
    for (const [i, name] of frozen.entries())
      expectEqual(name, await (await network.parameter(`${name}.weight`)).data(), before[i])
    network.unfreeze()
    await step({})
  } finally {
    network.dispose()
  }
})

onEachDevice('rate factors of single layers', [{ name: 'fc8 ten times, conv1_1 a half' }], async (device) => {
  const network = await networkOf(trainingCase, { device, exact: true, seed })
  try {
    const training = new ReferenceTraining(device)
    const rateFactors = { fc8: 10, conv1_1: 0.5 }
    for (const learningRate of [0.01, 0.002]) {
      training.step(rateFactors, learningRate)
      await network.step(images, labels, { ...options, learningRate, rateFactors })
      await expectState(network, training)
    }
  } finally {
    network.dispose()
  }
})
