import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { Tensor } from '../../lib/tensor.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { type LoadOptions, load } from '../../lib/weights/load.js'
import { difference, parametersOfNet } from './small.js'

const small = { variant: 'A', width: 0.0625, imageSize: 64, device: 'cpu', threads: 1, seed: 1 } as const
const names = ['lying', 'progress', 'leaning']
const preprocessing = { smallestSide: 73 }
const scale = [1 / 58.395, 1 / 57.12, 1 / 57.375]
const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-load-'))
const file = path.join(folder, 'model.safetensors')
const trunk = path.join(folder, 'trunk.safetensors')

let net: VGG
let before: Record<string, Float32Array>
beforeAll(async () => {
  net = await VGG.create({ ...small, classes: 3, classNames: names, headWidth: 8, dropout: 0.25, preprocessing, scale })
  // biases of 0 would be equal in a new layer
  for (const { name, shape } of net.parameters)
    if (name.endsWith('bias')) await net.setParameter(name, Tensor.randn(shape, { seed: 2, std: 0.1 }))
  before = await parametersOfNet(net)
  await save(net, file)
  const blocks = await VGG.create({ ...small, head: 'none', scale })
  await blocks.initialiseFrom(net, { layers: 'all' })
  await save(blocks, trunk)
  blocks.dispose()
})
afterAll(() => {
  net.dispose()
  rmSync(folder, { recursive: true })
})

/** Loads a model, and disposes of it after `look`. */
async function loaded(from: string, options: LoadOptions, look: (made: VGG) => unknown): Promise<void> {
  const made = await load(from, { device: 'cpu', threads: 1, ...options })
  try {
    await look(made)
  } finally {
    made.dispose()
  }
}

/** The layers whose parameters are not those of the model. */
async function newLayers(made: VGG): Promise<string[]> {
  const found = Object.entries(await parametersOfNet(made)).filter(
    ([name, values]) => difference(values, before[name] ?? []) > 0,
  )
  return [...new Set(found.map(([name]) => name.replace(/\.\w+$/, '')))]
}

describe('load with options of the network', () => {
  test.each<[string, string, LoadOptions, object, string[]]>([
    ['nothing keeps everything', file, {}, { classes: 3, headWidth: 8, dropout: 0.25, preprocessing }, []],
    ['the same classes keep the head', file, { classes: 3 }, { classes: 3 }, []],
    ['other classes: fc8 is new', file, { classes: 5, seed: 1 }, { classes: 5, headWidth: 8 }, ['fc8']],
    ['a width: the head is new', file, { headWidth: 4 }, { classes: 3, headWidth: 4 }, ['fc6', 'fc7', 'fc8']],
    ['no head', file, { head: 'none' }, { head: 'none', preprocessing }, []],
    ['no head, another size', file, { head: 'none', imageSize: 128 }, { preprocessing: { smallestSide: 146 } }, []],
    ['a trunk stays one', trunk, {}, { head: 'none' }, []],
    ['a trunk with classes', trunk, { classes: 2, headWidth: 4 }, { classes: 2 }, ['fc6', 'fc7', 'fc8']],
  ])('%s', async (_, from, options, expected, fresh) => {
    await loaded(from, options, async (made) => {
      expect(made.configuration).toMatchObject(expected)
      expect(made.classes).toBe(made.configuration.classes ?? 0)
      expect(made.classNames).toEqual(made.classes === 3 ? names : [])
      expect(await newLayers(made)).toEqual(fresh)
    })
  })

  test('new layers are those of the seed and of the distribution', async () => {
    const seen: Float32Array[] = []
    for (const options of [{ seed: 1 }, { seed: 1 }, { seed: 2 }, { seed: 1, initialisation: 'he' }] as const)
      await loaded(file, { classes: 5, ...options }, async (made) => {
        seen.push((await parametersOfNet(made))['fc8.weight'] ?? new Float32Array())
      })
    const [first = [], again = [], other = [], he = []] = seen
    expect(first).toEqual(again)
    const created = await VGG.create({ ...small, classes: 5, headWidth: 8 })
    expect(first).toEqual((await parametersOfNet(created))['fc8.weight'])
    created.dispose()
    expect(difference(first, other)).toBeGreaterThan(0.1)
    // variances of 2 / 13 and 2 / 8
    const deviation = (values: ArrayLike<number>) =>
      Math.sqrt(Array.from(values).reduce((sum, one) => sum + one * one, 0))
    expect(deviation(he) / deviation(first)).toBeCloseTo(Math.sqrt(13 / 8), 5)
  })

  test.each<[string, LoadOptions, RegExp]>([
    ['contradict each other', { head: 'none', classes: 3 }, /no classes with head: 'none'/],
    ['need a new head', { imageSize: 96 }, /for imageSize .*; give headWidth: 8 for a new head, or head: 'none'/],
    ['change nothing', { channelInit: 'mean' }, /no channelInit where the model has the 3 channels/],
  ])('options that %s are refused', async (_, options, message) => {
    await expect(load(file, options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
  })
})

/** The pixels of the image of one channel, in each of several. */
async function repeated(image: Tensor, channels: number): Promise<Tensor> {
  const pixels = [...(await image.data())]
  const all = Array.from({ length: channels }, () => pixels).flat()
  return Tensor.from(Float32Array.from(all), [1, channels, 64, 64])
}

describe('load with other channels', () => {
  const grey = Tensor.randn([1, 1, 64, 64], { seed: 5, mean: 120, std: 50 })
  const features = async (made: VGG, images: Tensor) => {
    const { conv1_1, pool5 } = await made.features(images, ['conv1_1', 'pool5'])
    return { first: await conv1_1.data(), last: await pool5.data() }
  }
  const inside = (values: ArrayLike<number>) =>
    Array.from(values).filter((_, at) => [at % 64, Math.floor(at / 64) % 64].every((side) => side > 0 && side < 63))

  test('a grey image gives what its RGB form gives, but for the borders', async () => {
    const rgb = await features(net, await repeated(grey, 3))
    await loaded(file, { channels: 1 }, async (made) => {
      expect(made.configuration).toMatchObject({ channels: 1, meanRgb: [(123.68 + 116.779 + 103.939) / 3] })
      const ours = await features(made, grey)
      expect(difference(inside(ours.first), inside(rgb.first))).toBeLessThan(1e-5)
      // zero padding stands for the mean of each channel
      expect(difference(ours.first, rgb.first)).toBeLessThan(0.1)
      expect(difference(ours.last, rgb.last)).toBeLessThan(0.05)
    })
  })

  test('equal images of six channels give what their RGB form gives', async () => {
    const rgb = await features(net, await repeated(grey, 3))
    await loaded(file, { channels: 6, head: 'none' }, async (made) => {
      const ours = await features(made, await repeated(grey, 6))
      expect(difference(ours.first, rgb.first)).toBeLessThan(1e-5)
      expect(difference(ours.last, rgb.last)).toBeLessThan(1e-5)
    })
  })

  test('the mean of the kernels gives a third of the sum', async () => {
    const kernels: Float32Array[] = []
    for (const channelInit of ['sum', 'mean'] as const)
      await loaded(file, { channels: 1, channelInit }, async (made) => {
        kernels.push((await parametersOfNet(made))['conv1_1.weight'] ?? new Float32Array())
      })
    expect(difference(kernels[1]?.map((value) => 3 * value) ?? [], kernels[0] ?? [])).toBeLessThan(1e-6)
  })
})
