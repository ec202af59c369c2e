import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import type { Dataset, RandomReads } from '../../lib/data/dataset.js'
import type { EpochEvent, FeaturesEvent, StepEvent } from '../../lib/train/events.js'
import { loadTraining } from '../../lib/train/load-training.js'
import type { TrainOptions } from '../../lib/train/settings.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { newFolder } from '../setup/folder.js'
import { smallNet, stripes } from '../setup/stripes.js'

const nets: VGG[] = []
afterEach(() => {
  for (const net of nets.splice(0)) net.dispose()
})

/** Images, every eleventh of which cannot be read, and the number of images that were read. */
function counted(count: number): Dataset & { reads: number } {
  const data = stripes(count, 5)
  const made = {
    ...data,
    reads: 0,
    nameOf: (index: number) => `${index}.png`,
    read: async (indices: Int32Array, into: Uint8Array) => {
      made.reads += indices.length
      await data.read(indices, into)
      return [...indices.entries()]
        .filter(([, index]) => index % 11 === 5)
        .map(([position, index]) => ({ position, name: `${index}.png`, reason: 'it is empty' }))
    },
  }
  return made
}

const freeze = ['conv1', 'conv2', 'conv3', 'conv4']
const usual = { epochs: 4, batch: 8, learningRate: 0.02, seed: 4, flip: true, freeze }
const timeless = ({ seconds: _, imagesPerSecond: __, ...event }: EpochEvent) => event

interface Trained {
  readonly checkpoint: Buffer
  readonly history: unknown[]
  readonly notices: string[]
  readonly reads: number
}

async function trained(folder: string, options: TrainOptions, start: () => Promise<VGG> = smallNet): Promise<Trained> {
  const [data, validation] = [counted(44), counted(22)]
  const net = await start()
  nets.push(net)
  const notices: string[] = []
  const onNotice = (text: string): void => void notices.push(text)
  const given = { ...(options.resume === undefined && usual), ...options }
  const report = await train(net, data, { validation, ...given, checkpoint: { folder }, onNotice })
  const checkpoint = readFileSync(report.checkpoint ?? '')
  return { checkpoint, history: report.history.map(timeless), notices, reads: data.reads + validation.reads }
}

/** The files of the folder of features. */
function files(folder: string): string[] {
  const inside = path.join(folder, 'features')
  return readdirSync(inside, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(inside, name))
    .filter((file) => statSync(file).isFile())
}

test.each([
  ['whole batches', {}],
  ['micro-batches', { microBatch: 3 }],
  ['a network with local norms', { microBatch: 4, schedule: { kind: 'plateau', patience: 1, drops: 3 } }],
] as const)('a training from features ends with the bytes of one from images: %s', async (name, options) => {
  const start = () => smallNet(name.includes('norms') ? { variant: 'A-LRN' } : {})
  const [one, other] = [newFolder(), newFolder()]
  const images = await trained(one, { ...options, frozenFeatures: 'off' }, start)
  const features = await trained(other, options, start)
  expect(features.history).toEqual(images.history)
  expect(features.checkpoint.equals(images.checkpoint)).toBe(true)
  expect(images.notices).toEqual([])
  expect(features.notices).toEqual([
    `conv1_1 to conv4_2 are frozen: pool4 of 66 images, mirrored too, is computed once, 110.0 KiB in ${other}/features`,
  ])
  // each image once, and the last images of each epoch, which are no whole batch
  expect(images.reads).toBe(4 * 66)
  expect(features.reads).toBeLessThan(66 + 4 * 22)
  expect(readdirSync(other)).not.toContain('features')
})

test.each([
  ['all convolutions', 'pool5', { batch: 16, freeze: ['convolutions'] }],
  // of 32 images on, the last two convolutions are products of matrices, whose bits depend on all images of a pass
  ['the convolutions before', 'pool4', { batch: 40, freeze: ['convolutions'] }],
  ['convolutions up to one without a pool', 'relu4_1', { freeze: ['conv1', 'conv2', 'conv3', 'conv4_1'] }],
] as const)('%s are computed once, up to %s', async (_, tensor, options) => {
  const images = await trained(newFolder(), { ...options, frozenFeatures: 'off' })
  const features = await trained(newFolder(), options)
  expect(features.notices[0]).toContain(`are frozen: ${tensor} of 66 images`)
  expect(features.checkpoint.equals(images.checkpoint)).toBe(true)
})

test('the progress counts each version of the training images, and the validation images', async () => {
  const events: FeaturesEvent[] = []
  await trained(newFolder(), { onFeatures: (event) => void events.push(event) })
  const done = events.map((event) => event.done)
  expect(events.at(-1)).toEqual({ done: 2 * 44 + 22, of: 2 * 44 + 22 })
  // after each pass of 8 images at most
  expect(done.length).toBeGreaterThan(110 / 8)
  expect(done).toEqual([...done].sort((a, b) => a - b))
})

/** Overwrites one value of each image of a file of features. */
function damage(file: string): void {
  const bytes = readFileSync(file)
  for (let at = bytes.length - 8; at > bytes.length - 44 * 1024 && at > 16_384; at -= 1024) bytes[at] = 77
  writeFileSync(file, bytes)
}

describe('a training that is stopped in its second epoch and resumed ends with the same bytes', () => {
  async function stopped(folder: string, onStep = () => {}): Promise<void> {
    const stop = new AbortController()
    const at = ({ step }: StepEvent) => (step === 9 ? stop.abort() : onStep())
    await expect(trained(folder, { signal: stop.signal, onStep: at })).rejects.toMatchObject({ code: 'ABORTED' })
  }

  async function resumed(folder: string): Promise<Trained> {
    const { path: file } = (await newestCheckpoint(folder)) ?? {}
    const { net, state } = await loadTraining(file ?? '', { device: 'cpu', threads: 2 })
    return trained(folder, { resume: state }, async () => net)
  }

  let known: Promise<Trained> | undefined
  function undisturbed(): Promise<Trained> {
    known ??= trained(newFolder(), { frozenFeatures: 'off' })
    return known
  }

  test.each([
    ['with the features', () => {}],
    ['without them', (file: string) => rmSync(file)],
    ['with damaged ones', damage],
    ['with truncated ones', (file: string) => truncateSync(file, 100)],
  ])('%s', async (_, change) => {
    const folder = newFolder()
    await stopped(folder)
    const before = files(folder)
    expect(before).toHaveLength(3)
    for (const file of before) change(file)
    writeFileSync(path.join(folder, 'features', 'training', 'mine.txt'), 'of somebody else')
    const ended = await resumed(folder)
    expect(readdirSync(path.join(folder, 'features'), { recursive: true })).toEqual(['training', 'training/mine.txt'])
    expect(ended.history).toEqual((await undisturbed()).history)
    expect(ended.checkpoint.equals((await undisturbed()).checkpoint)).toBe(true)
  })

  test('also if the features are truncated or removed while it runs', async () => {
    const folder = newFolder()
    let steps = 0
    await stopped(folder, () => {
      steps += 1
      for (const file of files(folder)) if (steps === 2) truncateSync(file, 20_000)
      for (const file of files(folder)) if (steps === 5) rmSync(file)
    })
    const ended = await resumed(folder)
    expect(ended.checkpoint.equals((await undisturbed()).checkpoint)).toBe(true)
  })

  test('and reads each image once to see that the features are its own', async () => {
    const folder = newFolder()
    await stopped(folder)
    const [before, times] = [files(folder), files(folder).map((file) => statSync(file).mtimeMs)]
    const data = counted(44)
    const { path: file } = (await newestCheckpoint(folder)) ?? {}
    const { net, state } = await loadTraining(file ?? '', { device: 'cpu', threads: 2 })
    nets.push(net)
    const stop = new AbortController()
    const validation = counted(22)
    const options = {
      validation,
      checkpoint: { folder },
      resume: state,
      signal: stop.signal,
      differences: 'accept',
    } as const
    await expect(train(net, data, { ...options, onStep: () => stop.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    const after = files(folder).filter((name) => name.includes('training'))
    expect(after).toEqual(before.filter((name) => name.includes('training')))
    expect(files(folder).map((name) => statSync(name).mtimeMs)).toEqual(times)
    // those of steps of another size are computed from images
    expect(data.reads).toBeLessThan(2 * 44)
    // one pixel of another image: another file takes the place of each of the two
    const other = counted(44)
    const { read } = other
    other.read = async (indices, into) => {
      const failures = await read(indices, into)
      if (indices[0] === 0) into[7] = 255 - (into[7] ?? 0)
      return failures
    }
    const again = await loadTraining((await newestCheckpoint(folder))?.path ?? '', { device: 'cpu', threads: 2 })
    nets.push(again.net)
    const stopAgain = new AbortController()
    const more = { ...options, resume: again.state, signal: stopAgain.signal, onStep: () => stopAgain.abort() }
    await expect(train(again.net, other, more)).rejects.toMatchObject({ code: 'ABORTED' })
    const replaced = files(folder).filter((name) => name.includes('training'))
    expect(replaced).toHaveLength(2)
    expect(replaced.filter((name) => after.includes(name))).toEqual([])
  })
})

describe('where frozen layers are computed in each step', () => {
  const noticesOf = async (data: Dataset, options: TrainOptions): Promise<string[]> => {
    const net = await smallNet()
    nets.push(net)
    const notices: string[] = []
    await train(net, data, { ...usual, flip: false, ...options, onNotice: (text) => void notices.push(text) })
    return notices
  }
  const checkpoint = () => ({ folder: newFolder() })
  const reason = 'conv1_1 to conv4_2 are frozen but computed in each step: '
  const augmented = (changes: RandomReads['changes'] | undefined): Dataset => {
    const data = stripes(16, 1)
    const readAugmented: Dataset['readAugmented'] = async (indices, _, into) => {
      await data.read(indices, into)
      return {}
    }
    return { ...data, readAugmented, ...(changes && { randomReads: { changes } }) }
  }

  test('a notice gives the reason and what to change', async () => {
    const data = stripes(16, 1)
    expect(await noticesOf(data, { epochs: 1, checkpoint: checkpoint() })).toEqual([
      `${reason}1 epoch would not gain from computing the output once`,
    ])
    expect(await noticesOf(data, { epochs: 2 })).toEqual([
      `${reason}without checkpoints there is no folder for the output`,
    ])
    expect(await noticesOf(data, { epochs: 2, shift: 1, checkpoint: checkpoint() })).toEqual([
      `${reason}the output differs in each epoch; shift: 0 (--shift) would let it be computed once`,
    ])
    expect(await noticesOf(augmented(['crop', 'size', 'colour']), { epochs: 2, checkpoint: checkpoint() })).toEqual([
      `${reason}the output differs in each epoch; randomCrop: false (--no-crop), a fixed smallestSide (--smallest-side), colour: false (--no-colour) would let it be computed once`,
    ])
    expect(await noticesOf(augmented(undefined), { epochs: 2, checkpoint: checkpoint() })).toEqual([
      `${reason}what the data change at random is not known`,
    ])
    expect(await noticesOf(data, { epochs: 2, freeze: ['conv1'], checkpoint: checkpoint() })).toEqual([
      'conv1_1 is frozen but computed in each step: reading the output would take longer than computing it',
    ])
    const [once = ''] = await noticesOf(augmented([]), { epochs: 2, checkpoint: checkpoint() })
    expect(once).toContain('pool4 of 16 images is computed once')
  })

  test('there is none where it is not asked for, or the first layer learns', async () => {
    const data = stripes(16, 1)
    expect(await noticesOf(data, { epochs: 2, frozenFeatures: 'off', checkpoint: checkpoint() })).toEqual([])
    expect(await noticesOf(data, { epochs: 2, freeze: ['conv2', 'head'], checkpoint: checkpoint() })).toEqual([])
    expect(await noticesOf(data, { epochs: 2, freeze: [] })).toEqual([])
  })
})
