// A batch smaller than one before it: on a GPU it runs in the larger one's plan, filled up with images that count in
// nothing.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test, vi } from 'vitest'
import type { VGG } from '../../lib/vgg/vgg.js'
import { cards, describeOnEach, opening, type TestDevice } from '../devices.js'
import { newFolder } from '../setup/folder.js'
import { difference, parametersOfNet, smallBatch, smallNet } from './small.js'

const update = { learningRate: 0.02, momentum: 0.9, weightDecay: 5e-4 }
/** A step that moves no weight by more than float32's smallest number. */
const nothing = { learningRate: 1e-45, momentum: 0, weightDecay: 0 }
/** Of the largest value. */
const none = 1e-30
const dropout = 0.5

/** Sums have another order for another number of images. */
const allowed: Readonly<Record<TestDevice, number>> = { cpu: 5e-6, cuda: 5e-6, 'cuda-tf32': 5e-3, 'cuda-bf16': 0.1 }

/** Two steps of this size. */
async function stepsOf(net: VGG, count: number, parts: object) {
  const found: { loss: number; correct: number; correct5: number }[] = []
  for (const seed of [1, 2]) {
    const { images, labels } = smallBatch(count, seed)
    found.push(await net.step(images, labels, { ...update, ...parts }))
  }
  return { found, parameters: await parametersOfNet(net) }
}

describeOnEach('a batch smaller than one before it', (device) => {
  test.each([
    ['a batch', 5, {}, {}],
    ['a batch of one image', 1, {}, {}],
    ['the last of several parts', 12, { microBatch: 5 }, { microBatch: 4 }],
  ])('takes the same steps as on its own: %s', async (_, count, padded, whole) => {
    using alone = await smallNet({ ...opening[device], dropout })
    using after = await smallNet({ ...opening[device], dropout })
    const { images, labels } = smallBatch(12)
    await after.step(images, labels, nothing)
    await after.setTrainingStep(0)
    const [expected, actual] = [await stepsOf(alone, count, whole), await stepsOf(after, count, padded)]
    for (const [i, { loss, ...counts }] of actual.found.entries()) {
      const { loss: expectedLoss, ...expectedCounts } = expected.found[i] ?? { loss: Number.NaN }
      expect(counts).toEqual(expectedCounts)
      expect(difference([loss], [expectedLoss])).toBeLessThan(allowed[device])
    }
    for (const [name, values] of Object.entries(expected.parameters))
      expect(difference(actual.parameters[name] ?? [], values), name).toBeLessThan(allowed[device])
  })

  test('has the outputs of its own images only, and of every tensor kept', async () => {
    using net = await smallNet({ ...opening[device], dropout })
    const { images } = smallBatch(12)
    const names = ['conv2_1', 'relu7', 'fc8']
    const [whole, part] = [await net.features(images, names), await net.features(images.slice(7, 12), names)]
    for (const name of names) {
      const [all, own] = [await whole[name]?.data(), await part[name]?.data()]
      if (!all || !own) throw new Error(`no ${name}`)
      expect(part[name]?.shape).toEqual([5, ...(whole[name]?.shape.slice(1) ?? [])])
      // the CPU has other algorithms for other sizes; a GPU has the same plan
      expect(difference(own, all.subarray(all.length - own.length)), name).toBeLessThan(device === 'cpu' ? 5e-6 : none)
    }
  })
})

describeOnEach(
  'plans on a GPU',
  (device) => {
    test('are not chosen for a smaller batch, unless it comes more than eight times in a row', async () => {
      const log = path.join(newFolder(), 'plans.jsonl')
      vi.stubEnv('VGGNET_CUDA_LOG', log)
      const choices = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length : 0)
      try {
        using net = await smallNet(opening[device])
        const step = async (count: number) => {
          const { images, labels } = smallBatch(count)
          await net.step(images, labels, update)
          return choices()
        }
        const forward = async (count: number) => {
          await net.forward(smallBatch(count).images)
          return choices()
        }
        // other sizes for each: training and evaluation share graphs
        for (const [call, odd] of [
          [step, 5],
          [forward, 6],
        ] as const) {
          const known = await call(12)
          expect(known).toBeGreaterThan(0)
          for (let i = 0; i < 8; i++) expect(await call(odd)).toBe(known)
          expect(await call(7)).toBe(known)
          for (let i = 0; i < 8; i++) expect(await call(odd)).toBe(known)
          expect(await call(odd)).toBeGreaterThan(known)
        }
      } finally {
        vi.unstubAllEnvs()
      }
    })
  },
  cards,
)
