import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { preflight } from '../../lib/check/preflight.js'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import type { Dataset } from '../../lib/data/dataset.js'
import { statisticsOf } from '../../lib/data/statistics.js'
import type { TrainOptions } from '../../lib/train/settings.js'
import { train } from '../../lib/train/trainer.js'
import { newFolder } from '../setup/folder.js'
import { netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'

const open = netsOpened()('cpu')

const data = stripes(40, 1)
const quick = { epochs: 2, batch: 8, learningRate: 0.01 }
const thrown = new Error('of my own')
const rejecting = async (): Promise<never> => {
  await pause(1)
  throw thrown
}

/** Its third batch is infinitely bright. */
function withBadBatch(): Dataset {
  let reads = 0
  const readAugmented: Dataset['readAugmented'] = async (indices, _, into) => {
    await data.read(indices, into)
    reads += 1
    return { shift: new Float32Array(indices.length).fill(reads === 3 ? Number.POSITIVE_INFINITY : 0) }
  }
  return { ...data, readAugmented }
}

// an unhandled rejection of a callback fails the run of the tests
describe('an asynchronous callback that rejects', () => {
  test.each<[keyof TrainOptions, TrainOptions, Dataset, number]>([
    ['onStep', { onStep: rejecting }, data, 0],
    ['onEpoch', { onEpoch: rejecting }, data, 0],
    ['onCheckpoint', { onCheckpoint: rejecting }, data, 0],
    ['onRefused', { onRefused: rejecting, onNotFinite: 'skip' }, withBadBatch(), 1],
  ])('%s: the training is saved and rejects with its error', async (_, hooks, images, refused) => {
    const folder = newFolder()
    const net = await open()
    const checkpoint = { folder, everySteps: 2 }
    await expect(train(net, images, { ...quick, ...hooks, checkpoint })).rejects.toBe(thrown)
    // every step that the network has computed is in the checkpoint
    expect((await newestCheckpoint(folder))?.step).toBe(net.trainingStep + refused)
    expect(net.trainingStep).toBeGreaterThan(0)
    expect((await train(net, data, { ...quick, epochs: 1 })).steps).toBe(5)
  })

  test('before: nothing is written, and the training rejects with its error', async () => {
    const folder = newFolder()
    const training = train(await open(), data, { ...quick, checkpoint: { folder, before: rejecting } })
    await expect(training).rejects.toBe(thrown)
    expect(await newestCheckpoint(folder)).toBeUndefined()
  })

  test('onProgress: the call rejects with its error', async () => {
    await expect(statisticsOf(data, { onProgress: rejecting })).rejects.toBe(thrown)
    await expect(preflight(await open(), { training: data, batch: 8, onProgress: rejecting })).rejects.toBe(thrown)
  })
})

test('asynchronous callbacks are awaited in order, and only the step in flight is computed meanwhile', async () => {
  const net = await open()
  const events: string[] = []
  const computed: number[] = []
  const slowly = async (text: string): Promise<void> => {
    events.push(`${text} begins`)
    await pause(5)
    events.push(`${text} ends`)
  }
  await train(net, data, {
    ...quick,
    epochs: 1,
    async onStep({ step }) {
      await slowly(`step ${step}`)
      computed.push(net.trainingStep - step)
    },
    onEpoch: ({ epoch }) => slowly(`epoch ${epoch}`),
  })
  const expected = ['step 1', 'step 2', 'step 3', 'step 4', 'step 5', 'epoch 1']
  expect(events).toEqual(expected.flatMap((text) => [`${text} begins`, `${text} ends`]))
  expect(Math.max(...computed)).toBeLessThanOrEqual(1)
})
