import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import { decode } from '../../lib/checkpoint/safetensors.js'
import type { Dataset } from '../../lib/data/dataset.js'
import { Random } from '../../lib/random.js'
import type { EpochEvent, StepEvent, TrainReport } from '../../lib/train/events.js'
import { loadTraining } from '../../lib/train/load-training.js'
import type { TrainOptions } from '../../lib/train/settings.js'
import { train } from '../../lib/train/trainer.js'
import { decodeState, encodeState, type TrainingState } from '../../lib/train/training-state.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { load } from '../../lib/weights/load.js'
import { describeOnEach, repeatable } from '../devices.js'
import { newFolder } from '../setup/folder.js'
import { expectEqual, killedAndResumed, type Left, undisturbed } from '../setup/killed.js'
import { sealed } from '../setup/model-file.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { parametersOfNet } from './small.js'

function expectEachImageOnce(left: Left): void {
  const seen = new Map<number, number[]>()
  for (const line of left.steps.values()) {
    const [, , epoch = '', rest = ''] = line.split(' ')
    const [, , indices] = JSON.parse(rest)
    seen.set(Number(epoch), [...(seen.get(Number(epoch)) ?? []), ...indices])
  }
  const all = Array.from({ length: 44 }, (_, index) => index)
  expect([...seen.keys()]).toEqual([1, 2, 3, 4, 5])
  for (const indices of seen.values()) expect(indices.sort((a, b) => a - b)).toEqual(all)
}

describe('a training that is killed', () => {
  test('a dozen times at random moments ends with the bytes of an undisturbed one', async () => {
    const folder = newFolder()
    const { left, milliseconds } = await undisturbed(path.join(folder, 'undisturbed'))
    expectEachImageOnce(left)
    const random = new Random(20)
    const moments: string[] = []
    for (let chain = 0; moments.length < 12; chain++) {
      const kills = 12 - moments.length
      const chained = await killedAndResumed(path.join(folder, `${chain}`), random, { kills, milliseconds })
      expectEqual(chained.left, left)
      moments.push(...chained.moments)
    }
    console.log(`killed ${moments.join(', ')}`)
  })
})

const nets: VGG[] = []

afterEach(() => {
  for (const net of nets.splice(0)) net.dispose()
})

function kept<N extends VGG>(net: N): N {
  nets.push(net)
  return net
}

/** Images, every eleventh of which cannot be read. */
function partlyReadable(count: number): Dataset {
  const data = stripes(count, 5)
  const nameOf = (index: number): string => `${index}.png`
  const read: Dataset['read'] = async (indices, into) => {
    await data.read(indices, into)
    return [...indices.entries()]
      .filter(([, index]) => index % 11 === 0)
      .map(([position, index]) => ({ position, name: nameOf(index), reason: 'it is empty' }))
  }
  return { ...data, read, nameOf }
}

const data = partlyReadable(44)
const options = { validation: partlyReadable(22), epochs: 3, batch: 8, learningRate: 0.02, seed: 4 }

const timeless = ({ seconds: _, imagesPerSecond: __, ...event }: EpochEvent) => event

describeOnEach('a training that is stopped', (device) => {
  const here = repeatable(device)
  const open = async () => kept(await smallNet({ ...here, dropout: 0.25 }))

  /** Stops after each of these steps, in one folder, and continues from the newest checkpoint. */
  async function stoppedAt(steps: readonly number[], folder: string, own: TrainOptions) {
    const checkpoint = { folder, everySteps: 2 }
    let net = await open()
    let resume: TrainingState | undefined
    const events: EpochEvent[] = []
    for (const last of steps) {
      const stopping = new AbortController()
      const onStep = ({ step }: StepEvent): void => (step === last ? stopping.abort() : undefined)
      const hooks = { onStep, onEpoch: (event: EpochEvent) => void events.push(event), signal: stopping.signal }
      const training = train(net, data, { ...own, ...hooks, checkpoint, ...(resume && { resume }) })
      await expect(training).rejects.toMatchObject({ code: 'ABORTED', message: expect.stringMatching(folder) })
      const newest = await newestCheckpoint(folder)
      const loaded = await loadTraining(newest?.path ?? '', here)
      net = kept(loaded.net)
      resume = loaded.state
    }
    const onEpoch = (event: EpochEvent) => void events.push(event)
    const report = await train(net, data, { ...own, checkpoint, onEpoch, ...(resume && { resume }) })
    return { net, report, events }
  }

  test('anywhere in its epochs continues to the same files, events, report and skipped images', async () => {
    const [one, other] = [newFolder(), newFolder()]
    const straight = await stoppedAt([], one, options)
    const stopped = await stoppedAt([2, 5, 9], other, options)
    expect(stopped.events.map(timeless)).toEqual(straight.events.map(timeless))
    expect(stopped.report.history.map(timeless)).toEqual(straight.report.history.map(timeless))
    expect(await parametersOfNet(stopped.net)).toEqual(await parametersOfNet(straight.net))
    expect(readdirSync(other).sort()).toEqual(readdirSync(one).sort())
    for (const name of readdirSync(one)) {
      expect(readFileSync(path.join(other, name)).equals(readFileSync(path.join(one, name))), name).toBe(true)
    }
    expect(straight.events[0]).toMatchObject({ skippedCount: 4, skipped: { length: 4 } })
    expect(straight.events[0]?.validation).toMatchObject({ count: 20, unreadable: { length: 2 } })
    expect(stopped.report.history[0]?.seconds).toBeNaN()
  })

  test('continues to the same files with milestones, whole batches only, and flips', async () => {
    const schedule = { kind: 'milestones', at: [1, 2], factor: 0.5 } as const
    const own = { ...options, schedule, dropLast: true, flip: true, shift: 1 }
    const [one, other] = [newFolder(), newFolder()]
    const straight = await stoppedAt([], one, own)
    const stopped = await stoppedAt([2, 5, 9], other, own)
    expect(straight.report).toMatchObject({ steps: 15, history: { length: 3 } })
    expect(straight.events.map(({ learningRate }) => learningRate)).toEqual([0.02, 0.01, 0.005])
    expect(await parametersOfNet(stopped.net)).toEqual(await parametersOfNet(straight.net))
    for (const name of readdirSync(one))
      expect(readFileSync(path.join(other, name)).equals(readFileSync(path.join(one, name))), name).toBe(true)
    const unflipped = await stoppedAt([], newFolder(), { ...own, flip: false })
    expect(await parametersOfNet(unflipped.net)).not.toEqual(await parametersOfNet(straight.net))
  })

  test('by an error of a callback or of the data saves its progress', async () => {
    const thrown = new Error('of my own')
    const onStep = ({ step }: StepEvent): void => {
      if (step === 3) throw thrown
    }
    const onEpoch = (): never => {
      throw thrown
    }
    for (const [hooks, step] of [[{ onStep }, 4] as const, [{ onEpoch }, 6] as const]) {
      const folder = newFolder()
      const net = await open()
      await expect(train(net, data, { ...options, ...hooks, checkpoint: { folder } })).rejects.toBe(thrown)
      const newest = await newestCheckpoint(folder)
      expect(newest?.step).toBe(step)
      const { net: loaded, state } = await loadTraining(newest?.path ?? '', here)
      expect(await parametersOfNet(kept(loaded))).toEqual(await parametersOfNet(net))
      // the epoch's end is repeated, because its callback failed
      expect(state.epochsDone).toBe(0)
    }
  })

  test('is loaded with its whole state, and load takes the model alone', async () => {
    const folder = newFolder()
    const { net, report } = await stoppedAt([], folder, options)
    const { net: loaded, state } = await loadTraining(report.checkpoint ?? '', { device: 'auto' })
    kept(loaded)
    expect(await parametersOfNet(loaded)).toEqual(await parametersOfNet(net))
    for (const { name } of net.parameters) {
      const [velocity, before] = [await loaded.velocity(name), await net.velocity(name)]
      expect(await velocity.data()).toEqual(await before.data())
    }
    expect([loaded.device, loaded.precision, loaded.run]).toEqual([net.device, net.precision, net.run])
    expect([loaded.trainingStep, state.step, state.epochsDone]).toEqual([18, 18, 3])
    const model = kept(await load(path.join(folder, 'best.safetensors'), here))
    const fresh = await (await model.velocity('fc8.weight')).data()
    expect(fresh.every((value) => value === 0)).toBe(true)
    expect(model.trainingStep).toBe(0)
    // a finished training has no steps left
    const again = await train(loaded, data, { ...options, resume: state })
    expect([again.steps, again.history.length]).toEqual([18, 3])
  })
})

describe('a training is not resumed', () => {
  const here = { device: 'cpu', threads: 1 } as const
  let file = ''
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-resume-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  beforeAll(async () => {
    const net = kept(await smallNet({ ...here, dropout: 0.25 }))
    const { checkpoint = '' } = await train(net, data, { ...options, epochs: 1, checkpoint: { folder } })
    file = checkpoint
  })

  async function resumed(own: object, changed: { data?: Dataset; run?: object } = {}): Promise<TrainReport> {
    const { net, state } = await loadTraining(file, changed.run)
    return train(kept(net), changed.data ?? data, { ...options, epochs: 2, ...own, resume: state })
  }

  test.each<[string, object, { data?: Dataset; run?: object }, RegExp]>([
    ['in other batches', { batch: 9 }, {}, /but options batch is 9 and was 8; differences: 'accept'/],
    ['with another seed', { seed: 5 }, {}, /options seed is 5 and was 4/],
    ['by another schedule', { schedule: 'constant' }, {}, /options schedule kind is "constant" and was "plateau"/],
    ['with a layer frozen', { freeze: ['fc8'] }, {}, /options freeze is \["fc8"\] and was \[\]/],
    ['on more images', {}, { data: partlyReadable(55) }, /data count is 55 and was 44; data digest/],
    ['on images of other names', {}, { data: { ...data, nameOf: String } }, /but data digest is/],
    ['without validation', { validation: undefined, schedule: 'constant' }, {}, /validation count is none and was 22/],
    ['on more threads', {}, { run: { threads: 2 } }, /network threads is 2 and was 1/],
    ['with other dropout', {}, { run: { seed: 9 } }, /network seed is 9 and was 1/],
  ])('%s', async (_, own, changed, message) => {
    const refusal = { code: 'RESUME_MISMATCH', message: expect.stringMatching(message) }
    await expect(resumed(own, changed)).rejects.toMatchObject(refusal)
    expect((await resumed({ ...own, differences: 'accept' }, changed)).history).toHaveLength(2)
  })

  test('but a checkpoint of a version without some options has their defaults', async () => {
    const { net, state } = await loadTraining(file)
    kept(net)
    const { state: text, tables } = encodeState(state)
    const { conditions, ...others } = JSON.parse(text)
    const { dropLast: _, flip: __, ...older } = conditions.options
    const decoded = decodeState(JSON.stringify({ ...others, conditions: { ...conditions, options: older } }), tables)
    expect(decoded).toEqual(state)
    expect((await train(net, data, { ...options, epochs: 2, resume: decoded })).history).toHaveLength(2)
  })

  test('for another network, a network of later steps, and a value that is no state', async () => {
    const { net, state } = await loadTraining(file)
    kept(net)
    const other = kept(await smallNet(here))
    await expect(train(other, data, { ...options, resume: state })).rejects.toThrow(/after 6 training steps/)
    await other.setTrainingStep(6)
    await expect(train(other, data, { ...options, resume: state })).rejects.toThrow(/network layers is/)
    await expect(train(net, data, { ...options, resume: {} as TrainingState })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/training state from loadTraining/),
    })
  })

  test('except for more epochs, with its own options; later checkpoints are set aside', async () => {
    const { net, state } = await loadTraining(file)
    const report = await train(kept(net), data, { validation: options.validation, epochs: 2, resume: state })
    expect(report.history.map(({ epoch, steps }) => [epoch, steps])).toEqual([
      [1, 6],
      [2, 12],
    ])
    const own = newFolder()
    copyFileSync(file, path.join(own, 'step-00000006.safetensors'))
    writeFileSync(path.join(own, 'step-00000011.safetensors'), 'damaged')
    const { net: again, state: same } = await loadTraining(file)
    await train(kept(again), data, {
      validation: options.validation,
      epochs: 2,
      resume: same,
      checkpoint: { folder: own },
    })
    expect(readdirSync(own).sort()).toEqual([
      'best.safetensors',
      'step-00000006.safetensors',
      'step-00000011.safetensors.left',
      'step-00000012.safetensors',
    ])
  })

  test('from a file that is no checkpoint of a training', async () => {
    const model = path.join(newFolder(), 'model')
    await save(kept(await smallNet(here)), model)
    await expect(loadTraining(model)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(/model: Expected a checkpoint of a training but found a model only/),
    })
    await expect(loadTraining(`${model}-absent`)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(loadTraining(model, { thread: 1 } as never)).rejects.toThrow(/did you mean 'threads'/)
    for (const change of [
      (text: string) => text.slice(1),
      () => '{}',
      (text: string) => text.replace(/"step"(?=:\d+,"sums")/, '"s"'),
    ]) {
      const { tensors, metadata } = decode(readFileSync(file))
      writeFileSync(model, await sealed(tensors, { ...metadata, training: change(metadata.training ?? '') }))
      await expect(loadTraining(model)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    }
  })
})
