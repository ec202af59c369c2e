import { describe, expect, test } from 'vitest'
import type { Dataset } from '../../lib/data/dataset.js'
import { subset } from '../../lib/data/derived.js'
import { evaluate } from '../../lib/evaluate/evaluate.js'
import { Tensor } from '../../lib/tensor.js'
import type { EpochEvent, StepEvent } from '../../lib/train/events.js'
import { rateAt, scheduleStart } from '../../lib/train/schedule.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, skipOnStandIn } from '../devices.js'
import { netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'

const openOn = netsOpened()

const data = stripes(60, 1)
const validation = stripes(45, 2)
const quick = { epochs: 2, batch: 16, learningRate: 0.01, seed: 3 }

async function weights(net: VGG): Promise<Float32Array[]> {
  const tensors = await Promise.all(net.parameters.map(({ name }) => net.parameter(name)))
  return Promise.all(tensors.map((tensor) => tensor.data()))
}

/** The network's prediction for one image, which shows that it is still usable. */
async function answer(net: VGG): Promise<number[]> {
  return (await net.forward(Tensor.zeros([1, 32, 32, 1], { dtype: 'uint8' }))).argmax()
}

describeOnEach('learning', (device) => {
  const open = openOn(device)

  test('overfits one batch to a loss under 1e-3', async () => {
    const net = await open({ dropout: 0 })
    const one = subset(
      data,
      Int32Array.from({ length: 8 }, (_, index) => index),
    )
    const { history } = await train(net, one, { epochs: 100, batch: 8, learningRate: 0.005, weightDecay: 0 })
    expect(history[0]?.loss).toBeGreaterThan(0.5)
    expect(history.at(-1)?.loss).toBeLessThan(1e-3)
    expect(history.at(-1)?.accuracy).toBe(1)
  })

  test('generalises to unseen images, with shifts and dropout', async (context) => {
    skipOnStandIn(context, 'minutes of the same steps')
    const net = await open({ dropout: 0.2, headWidth: 64, width: 0.25 })
    const options = { validation, epochs: 10, batch: 8, shift: 2, background: 128, schedule: 'cosine' } as const
    const { history } = await train(net, stripes(300, 5), { ...options, learningRate: 0.005 })
    expect(history.at(-1)?.validation?.top1).toBeGreaterThan(0.9)
  })
})

describeOnEach('events', (device) => {
  const open = openOn(device)

  test('of steps and epochs come in order, with the schedule\u2019s rates', async () => {
    const net = await open()
    const steps: StepEvent[] = []
    const epochs: EpochEvent[] = []
    const onEpoch = async (event: EpochEvent): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      epochs.push(event)
    }
    const schedule = { kind: 'cosine', warmup: 0.5 } as const
    const report = await train(net, data, {
      ...quick,
      validation,
      schedule,
      onStep: (event) => steps.push(event),
      onEpoch,
    })
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(steps.map(({ epoch }) => epoch)).toEqual([1, 1, 1, 1, 2, 2, 2, 2])
    expect(steps.map(({ images }) => images)).toEqual([16, 16, 16, 12, 16, 16, 16, 12])
    steps.forEach(({ learningRate }, index) => {
      expect(learningRate).toBeCloseTo(rateAt(schedule, scheduleStart(), 0.01, index / 4, 2), 12)
    })
    expect(epochs).toEqual(report.history)
    const second = steps.slice(4)
    const mean = second.reduce((sum, { loss, images }) => sum + loss * images, 0) / 60
    expect(epochs[1]?.loss).toBeCloseTo(mean, 10)
    expect(epochs[1]?.accuracy).toBeCloseTo(second.reduce((sum, { correct }) => sum + correct, 0) / 60, 10)
    expect(epochs[1]?.validation).toEqual(await evaluate(net, validation, { batch: 16 }))
    expect(report).toMatchObject({ steps: 8, ended: 'epochs' })
    expect(net.trainingStep).toBe(8)
  })

  test('name the first hundred unreadable images, and a batch without a readable one is skipped', async () => {
    const net = await open()
    const many = stripes(240, 1)
    // batches of 16 in which all, some or none can be read
    const bad = new Set<number>()
    const nameOf = (index: number): string => `${index}.png`
    const read: Dataset['read'] = async (indices, into) => {
      await many.read(indices, into)
      if (bad.size === 0) for (const index of indices) bad.add(index)
      return [...indices.entries()]
        .filter(([, index]) => bad.has(index) || index % 2 === 1)
        .map(([position, index]) => ({ position, name: nameOf(index), reason: 'it is empty' }))
    }
    const steps: StepEvent[] = []
    const onStep = (event: StepEvent): void => void steps.push(event)
    const report = await train(net, { ...many, read, nameOf }, { ...quick, epochs: 1, onStep })
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 14 }, (_, index) => index + 2))
    expect(report.steps).toBe(15)
    const used = steps.flatMap(({ indices }) => [...indices])
    expect(used.length).toBe(steps.reduce((sum, { images }) => sum + images, 0))
    const expected = Array.from({ length: 240 }, (_, index) => index).filter(
      (index) => !bad.has(index) && index % 2 === 0,
    )
    expect(used.sort((a, b) => a - b)).toEqual(expected)
    const [epoch] = report.history
    expect(epoch?.skippedCount).toBe(240 - expected.length)
    expect(epoch?.skipped).toHaveLength(100)
    expect(epoch?.skipped[0]).toEqual({ name: nameOf([...bad][0] ?? 0), reason: 'it is empty' })
  })

  test('do not come where no image can be read: the training ends with the reason', async () => {
    const read: Dataset['read'] = async (indices) =>
      [...indices.keys()].map((position) => ({ position, name: 'x.png', reason: 'it is empty' }))
    await expect(train(await open(), { ...data, read }, quick)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: 'Not one of 60 images could be read; x.png: it is empty',
    })
  })

  test('micro-batch auto fits into memory: here the batch itself', async () => {
    const [own, found] = [await open(), await open()]
    await train(own, data, quick)
    await train(found, data, { ...quick, microBatch: 'auto' })
    expect(await weights(found)).toEqual(await weights(own))
  })

  test('evaluate agrees with single predictions, whatever the batch', async () => {
    const net = await open()
    const metrics = await evaluate(net, validation, { batch: 7 })
    const pixels = new Uint8Array(45 * 1024)
    await validation.read(
      Int32Array.from({ length: 45 }, (_, index) => index),
      pixels,
    )
    const answers = await (await net.forward(Tensor.from(pixels, [45, 32, 32, 1]))).argmax()
    const right = answers.filter((one, index) => one === validation.labels[index]).length
    expect(metrics).toMatchObject({ count: 45, top1: right / 45, top5: 1 })
    expect(metrics.perClass.map(({ name }) => name)).toEqual(['lying', 'progress', 'leaning'])
    expect((await evaluate(net, validation)).confusion).toEqual(metrics.confusion)
  })
})

describeOnEach('a schedule', (device) => {
  const open = openOn(device)

  test('plateau: the rate drops three times, and the fourth plateau ends the training', async () => {
    const net = await open()
    const rates: number[] = []
    const report = await train(net, data, {
      validation,
      epochs: 50,
      batch: 60,
      // So small that no answer changes: a plateau from the first epoch on.
      learningRate: 1e-12,
      schedule: { kind: 'plateau', patience: 2 },
      onEpoch: ({ learningRate }) => {
        rates.push(learningRate * 1e12)
      },
    })
    expect(report.ended).toBe('schedule')
    const expected = [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    expect(rates.map((rate) => Number(rate.toPrecision(6)))).toEqual(expected)
  })
})

describeOnEach('seeds', (device) => {
  const open = openOn(device)

  async function run(net: VGG, seed: number) {
    const losses: number[] = []
    await train(net, data, { ...quick, shift: 1, seed, onStep: ({ loss }) => losses.push(loss) })
    return { losses, weights: await weights(net) }
  }

  test('equal seeds give equal bits, another seed gives others', async () => {
    const first = await run(await open(), 3)
    const second = await run(await open(), 3)
    const other = await run(await open(), 4)
    expect(second.losses).toEqual(first.losses)
    second.weights.forEach((values, index) => {
      expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(first.weights[index]?.buffer ?? []))).toBe(0)
    })
    expect(other.losses).not.toEqual(first.losses)
  })
})

describeOnEach('a training that is ended', (device) => {
  const open = openOn(device)

  test('by its signal rejects with ABORTED after the steps in flight, and the network stays usable', async () => {
    const net = await open()
    const stopping = new AbortController()
    const seen: number[] = []
    const onStep = ({ step }: StepEvent): void => {
      seen.push(step)
      if (step === 3) stopping.abort(new Error('enough'))
    }
    const training = train(net, data, { ...quick, batch: 4, epochs: 100, onStep, signal: stopping.signal })
    await expect(training).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } })
    const atEnd = seen.length
    expect(atEnd).toBeLessThanOrEqual(5)
    await answer(net)
    // nothing was still pending
    expect([seen.length, net.trainingStep]).toEqual([atEnd, atEnd])
    expect((await train(net, data, quick)).steps).toBe(8)
  })

  test('before its first step does nothing', async () => {
    const net = await open()
    const training = train(net, data, { ...quick, signal: AbortSignal.abort() })
    await expect(training).rejects.toMatchObject({ code: 'ABORTED' })
    expect(net.trainingStep).toBe(0)
    await expect(evaluate(net, data, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('by a callback or by the data rejects with their error', async () => {
    const net = await open()
    const thrown = new Error('of my own')
    const onStep = (): void => {
      throw thrown
    }
    await expect(train(net, data, { ...quick, onStep })).rejects.toBe(thrown)
    await expect(train(net, data, { ...quick, onEpoch: () => Promise.reject(thrown) })).rejects.toBe(thrown)
    const broken = { ...data, read: () => Promise.reject(thrown) }
    await expect(train(net, broken, quick)).rejects.toBe(thrown)
    await answer(net)
  })

  test('by a learning rate that is far too large rejects with NOT_FINITE, and every weight is finite', async () => {
    const net = await open()
    const training = train(net, data, { ...quick, epochs: 20, learningRate: 1e6 })
    await expect(training).rejects.toMatchObject({ code: 'NOT_FINITE' })
    for (const values of await weights(net)) expect(values.every(Number.isFinite)).toBe(true)
  })

  test('by dispose rejects with DISPOSED', async () => {
    const net = await open()
    const training = train(net, data, { ...quick, epochs: 100, onStep: ({ step }) => step === 2 && net.dispose() })
    await expect(training).rejects.toMatchObject({ code: 'DISPOSED' })
  })
})

describe('data that do not fit are refused before the first step', () => {
  const open = openOn('cpu')

  test.each<[string, object, RegExp]>([
    ['a misspelling', { epoch: 3 }, /did you mean 'epochs'/],
    ['a batch of 0', { batch: 0 }, /at least 1 for batch/],
    ['a rate of 0', { learningRate: 0 }, /above 0 for learningRate/],
    ['a momentum of 1', { momentum: 1 }, /for momentum/],
    ['a plateau without validation', { schedule: 'plateau' }, /validation data/],
    ['a schedule', { schedule: 'cosin' }, /did you mean 'cosine'/],
    ['no dataset', { validation: [1, 2] }, /a dataset, .*validation/],
    ['a micro-batch', { microBatch: 'all' }, /for microBatch/],
    ['no folder', { checkpoint: { everySteps: 3 } }, /path of a file for folder/],
    ['a misspelling inside', { checkpoint: { folder: 'x', everyStep: 3 } }, /did you mean 'everySteps'/],
    ['a policy', { differences: 'ignore' }, /refuse, accept/],
    ['no signal', { signal: 3 }, /AbortSignal/],
    ['no function', { onStep: 3 }, /a function for onStep/],
  ])('%s', async (_, options, message) => {
    const net = await open()
    await expect(train(net, data, { ...quick, ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
    expect(net.trainingStep).toBe(0)
  })

  test('channels, classes, sizes, and a value that is no network', async () => {
    await expect(train(await open({ channels: 3 }), data, quick)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(train(await open({ classes: 2 }), data, quick)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(train(await open({ imageSize: 64 }), data, quick)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(evaluate(await open({ classes: 2 }), data)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    const nothing = JSON.parse('{}')
    await expect(train(nothing, data, quick)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
