import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Dataset } from '../../lib/data/dataset.js'
import { Loader } from '../../lib/data/loader.js'
import { VggError } from '../../lib/error.js'
import type { RefusedEvent, StepEvent } from '../../lib/train/events.js'
import { loadTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import { describeOnEach, repeatable } from '../devices.js'
import { newFolder } from '../setup/folder.js'
import { kept, netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'
import { parametersOfNet } from './small.js'

const openOn = netsOpened({ dropout: 0.25 })

const good = stripes(40, 1)

type ReadAugmented = NonNullable<Dataset['readAugmented']>

/** The images with these numbers are infinitely bright. */
function withBad(...bad: number[]): Dataset & { readAugmented: ReadAugmented } {
  const readAugmented: ReadAugmented = async (indices, _, into) => {
    await good.read(indices, into)
    return { shift: Float32Array.from(indices, (index) => (bad.includes(index) ? Number.POSITIVE_INFINITY : 0)) }
  }
  return { ...good, readAugmented, nameOf: (index) => `image-${index}.png` }
}

const quick = { epochs: 2, batch: 8, learningRate: 0.01, momentum: 0.9, weightDecay: 0, seed: 3 }

/** The steps, 1 to 10, whose batches hold the image. */
async function stepsWith(image: number): Promise<number[]> {
  const loader = new Loader(good, { batch: 8, seed: 3 })
  const found: number[] = []
  for (let step = 1; step <= 10; step++) if ((await loader.next()).indices.includes(image)) found.push(step)
  return found
}

describeOnEach('a step that is not finite', (device) => {
  const open = openOn(device)

  test('ends the training by default: step, images and layer are named, every weight is a number', async () => {
    const net = await open()
    const refused: RefusedEvent[] = []
    const training = train(net, withBad(7), { ...quick, onRefused: (event) => refused.push(event) })
    const [step = 0] = await stepsWith(7)
    await expect(training).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(
        `^Step ${step} changed nothing: .*; learning rate 0.01, .*; images: image-\\d+.png, .* and 3 more; no checkpoint`,
      ),
      cause: expect.any(VggError),
    })
    expect(refused).toMatchObject([{ step, epoch: 1, action: 'stop', message: expect.stringMatching(/image-/) }])
    for (const values of Object.values(await parametersOfNet(net))) expect(values.every(Number.isFinite)).toBe(true)
    expect((await train(net, good, quick)).steps).toBe(10)
  })

  test('is skipped by skip, and later steps are as they would be without it', async () => {
    const net = await open()
    const steps: number[] = []
    const options = { ...quick, onNotFinite: 'skip' as const, onStep: ({ step }: StepEvent) => steps.push(step) }
    const { history } = await train(net, withBad(7), options)
    const bad = await stepsWith(7)
    expect(bad).toHaveLength(2)
    expect(history.map(({ refused }) => refused)).toEqual([1, 1])
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter((step) => !bad.includes(step)))
    // the same, one step at a time
    const reference = await open()
    const loader = new Loader(good, { batch: 8, seed: 3 })
    for (let step = 1; step <= 10; step++) {
      const { images, labels } = await loader.next()
      if (!bad.includes(step)) await reference.step(images, labels, { learningRate: 0.01, momentum: 0.9 })
    }
    expect(await parametersOfNet(net)).toEqual(await parametersOfNet(reference))
  })

  test('in all steps of an epoch ends the training, even with skip', async () => {
    const all = Array.from({ length: 40 }, (_, index) => index)
    const training = train(await open(), withBad(...all), { ...quick, onNotFinite: 'skip' })
    await expect(training).rejects.toMatchObject({ code: 'NOT_FINITE', message: expect.stringMatching(/Not one step/) })
  })

  test('returns to the last checkpoint with a lower rate', async () => {
    const folder = newFolder()
    const net = await open()
    const refused: RefusedEvent[] = []
    const rates: number[] = []
    const report = await train(net, good, {
      ...quick,
      learningRate: 1e6,
      onNotFinite: { back: 1e-4 },
      checkpoint: { folder, everySteps: 3 },
      onStep: ({ learningRate }) => rates.push(learningRate),
      onRefused: (event) => refused.push(event),
    })
    expect(refused.map(({ action }) => action)).toEqual(['back', 'back'])
    expect(report.steps).toBe(10)
    expect(rates.at(-1)).toBeCloseTo(0.01, 12)
    // nothing is left of what was undone
    const reference = await open()
    await train(reference, good, { ...quick, learningRate: 1e6 * (1e-4 * 1e-4) })
    expect(await parametersOfNet(net)).toEqual(await parametersOfNet(reference))
    expect(net.trainingStep).toBe(10)
    // and a resume knows of it
    const { net: loaded, state } = await loadTraining(report.checkpoint ?? '', repeatable(device))
    kept(loaded)
    expect(state).toMatchObject({ step: 10, timesBack: 2, rateFactor: 1e-4 * 1e-4 })
  })

  test('ends the training after the allowed number of returns', async () => {
    const net = await open()
    const actions: string[] = []
    const training = train(net, withBad(7), {
      ...quick,
      onNotFinite: { back: 0.5, times: 2 },
      checkpoint: { folder: newFolder() },
      onRefused: ({ action }) => actions.push(action),
    })
    await expect(training).rejects.toMatchObject({ code: 'NOT_FINITE' })
    expect(actions).toEqual(['back', 'back', 'stop'])
  })
})

test('a damaged checkpoint ends a training that returns to it, and nothing of it is saved', async () => {
  const folder = newFolder()
  const file = path.join(folder, 'step-00000000.safetensors')
  const bad = withBad(7)
  let damaged: Buffer | undefined
  const readAugmented: ReadAugmented = async (...given) => {
    while (!existsSync(file)) await pause(5)
    if (damaged === undefined) {
      damaged = readFileSync(file)
      damaged[damaged.length - 10] ^= 4
      writeFileSync(file, damaged)
    }
    return bad.readAugmented(...given)
  }
  const net = await openOn('cpu')()
  const options = { ...quick, onNotFinite: { back: 0.5 }, checkpoint: { folder } }
  await expect(train(net, { ...bad, readAugmented }, options)).rejects.toMatchObject({
    code: 'NOT_FINITE',
    message: expect.stringMatching(/^Step \d+ .*; the training could not go back: .*velocity\/\S+ does not agree with/),
  })
  expect(readdirSync(folder)).toEqual([path.basename(file)])
})

describe('an action is refused', () => {
  test.each<[string, unknown, RegExp]>([
    ['of another name', 'ignore', /'stop', 'skip', 'back' or/],
    ['with a factor of 1', { back: 1 }, /for onNotFinite\.back/],
    ['with a misspelling', { back: 0.1, time: 2 }, /did you mean 'times'/],
    ['back without checkpoints', 'back', /option checkpoint/],
  ])('%s', async (_, onNotFinite, message) => {
    const net = await openOn('cpu')()
    await expect(train(net, good, { ...quick, onNotFinite: onNotFinite as 'skip' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
  })
})
