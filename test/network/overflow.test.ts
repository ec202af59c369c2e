import path from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { evaluate } from '../../lib/evaluate/evaluate.js'
import { Tensor } from '../../lib/tensor.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, repeatable } from '../devices.js'
import { vggnet } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

const small = { classes: 4, imageSize: 32, width: 0.125, headWidth: 16, initialisation: 'he', seed: 1 } as const
const images = Tensor.randn([2, 3, 32, 32], { seed: 2, mean: 120, std: 60 })
const data = arrayDataset({
  images: Uint8Array.from({ length: 4 * 32 * 32 * 3 }, (_, index) => (index * 7919) % 256),
  shape: [4, 32, 32, 3],
  labels: Int32Array.from([0, 1, 2, 3]),
  classNames: ['a', 'b', 'c', 'd'],
})

/** The net with the weights of one layer so large that its outputs overflow. */
async function withHuge(layer: string, options: VggOptions): Promise<VGG> {
  const net = await VGG.create(options)
  const weight = await net.parameter(`${layer}.weight`)
  const values = await weight.data()
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const huge = values.map((value) => (value / largest) * 3e38)
  await net.setParameter(`${layer}.weight`, Tensor.from(huge, weight.shape))
  return net
}

describeOnEach('a layer whose outputs overflow', (device) => {
  const options = { ...small, ...repeatable(device) }
  const layersOf = (variant: string): string[] =>
    variant === 'A-LRN' ? ['conv1_1'] : ['conv1_1', 'conv2_1', 'conv3_2', 'conv4_1', 'conv5_2', 'fc6', 'fc7', 'fc8']

  test.each([
    ['A', false],
    ['A', true],
    ['A-LRN', false],
    ['C', false],
  ] as const)('shows in the scores: %s, exact %s', async (variant, exact) => {
    for (const layer of layersOf(variant)) {
      using net = await withHuge(layer, { ...options, variant, exact })
      const scores = await (await net.forward(images)).data()
      for (const image of [scores.subarray(0, 4), scores.subarray(4)])
        expect(image.every(Number.isFinite), `${layer}: ${image}`).toBe(false)
      const { relu6 } = await net.features(images, ['relu6'])
      const seen = (await relu6?.data()) ?? new Float32Array()
      if (layer.startsWith('conv')) expect(seen.every(Number.isFinite), `relu6 of ${layer}`).toBe(false)
    }
  })

  test('ends a step and an evaluation with NOT_FINITE', async () => {
    using net = await withHuge('conv3_1', { ...options, variant: 'A' })
    const before = await (await net.parameter('fc8.weight')).data()
    const step = net.step(images, [0, 1], { learningRate: 0.01 })
    await expect(step).rejects.toMatchObject({ code: 'NOT_FINITE', message: expect.stringMatching(/conv3_1/) })
    expect(await (await net.parameter('fc8.weight')).data()).toEqual(before)
    const evaluation = evaluate(net, data)
    await expect(evaluation).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(/^Expected finite scores for image 0 but received (NaN|-?Infinity)/),
    })
  })
})

test('classify ends with NOT_FINITE and names the image', async () => {
  const folder = newFolder()
  const [model, image] = [path.join(folder, 'huge.safetensors'), path.join(folder, 'white.png')]
  using net = await withHuge('conv1_1', { ...small, variant: 'A', device: 'cpu' })
  await save(net, model)
  await sharp({ create: { width: 40, height: 40, channels: 3, background: 'white' } }).toFile(image)
  const { code, stdout, stderr } = await vggnet(['classify', model, image, '--device', 'cpu'])
  expect(stderr).toMatch(
    /^vggnet: NOT_FINITE: Expected finite scores for [^ ]+white\.png but received (NaN|-?Infinity)/,
  )
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
})

describe('a number that float32 does not hold is refused', () => {
  test.each<[string, Partial<VggOptions>]>([
    ['meanRgb', { meanRgb: 1e300 }],
    ['meanRgb', { meanRgb: [1, 2, -1e39] }],
    ['scale', { scale: 1e39 }],
    ['scale', { scale: 1e-300 }],
  ])('%s: %s', async (name, options) => {
    const creation = VGG.create({ ...small, device: 'cpu', variant: 'A', ...options })
    await expect(creation).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(new RegExp(`float32.* for ${name}`)),
    })
  })

  test.each([{ learningRate: 1e39 }, { learningRate: 1e-50 }, { weightDecay: 1e39 }, { rateFactors: { fc8: 1e39 } }])(
    'of an update: %s',
    async (options) => {
      using net = await VGG.create({ ...small, device: 'cpu', variant: 'A' })
      const step = net.step(images, [0, 1], { learningRate: 0.01, ...options })
      await expect(step).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/float32/),
      })
    },
  )
})
