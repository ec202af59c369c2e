import path from 'node:path'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { modelFrom } from '../../lib/checkpoint/model.js'
import { describe as describeNetwork } from '../../lib/network/describe.js'
import type { RunOptions } from '../../lib/network/open.js'
import { createRun } from '../../lib/run/run.js'
import { findSources } from '../../lib/run/sources.js'
import { openNetwork } from '../../lib/run/start.js'
import { Tensor } from '../../lib/tensor.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import type { HeadlessOptions } from '../../lib/vgg/options.js'
import { replaceHead, VGG } from '../../lib/vgg/vgg.js'
import { load } from '../../lib/weights/load.js'
import { newFolder } from '../setup/folder.js'
import { runDescription } from '../setup/run-description.js'
import { writeStripes } from '../setup/stripe-files.js'
import { difference, parametersOfNet } from './small.js'

const nets: VGG[] = []
afterEach(() => {
  for (const net of nets.splice(0)) net.dispose()
})

/** The network, freed when the test ends. */
async function kept(made: Promise<VGG>): Promise<VGG> {
  const net = await made
  nets.push(net)
  return net
}

const trunk = (options: Partial<HeadlessOptions & RunOptions> = {}): Promise<VGG> =>
  kept(VGG.create({ variant: 'D', head: 'none', width: 0.0625, device: 'cpu', threads: 1, seed: 1, ...options }))

const imagesOf = (count: number, channels: number, height: number, width: number, seed = 1) =>
  Tensor.randn([count, channels, height, width], { seed, mean: 120, std: 50 })

const convolutions = 13

describe('a network without a head', () => {
  test('has the blocks only, and no classes', async () => {
    const net = await trunk()
    expect(net.layers).toEqual(layersOf({ variant: 'D', head: 'none', width: 0.0625 }))
    expect(net.layers).toEqual(layersOf({ variant: 'D', classes: 3, width: 0.0625 }).slice(0, -3))
    expect([net.classes, net.classNames, net.configuration.classes]).toEqual([0, [], undefined])
    expect(inspect(net)).toBe(`The VGG net D: ${convolutions} layers with parameters on cpu`)
    const layers = layersOf({ variant: 'D', head: 'none' })
    expect(describeNetwork({ layers, shape: [1, 3, 300, 200] }).parameterCount).toBe(14_714_688)
  })

  test('computes features of images of any size, equal to those of a network with a head', async () => {
    const net = await trunk({ imageSize: 32 })
    const whole = await kept(replaceHead(net, { classes: 2, headWidth: 4 }))
    for (const [height, width] of [
      [224, 224],
      [300, 300],
      [97, 131],
      [32, 32],
    ] as const) {
      const x = imagesOf(1, 3, height, width)
      const { relu4_3, pool5 } = await net.features(x, ['relu4_3', 'pool5'])
      expect(relu4_3.shape.slice(2)).toEqual([Math.floor(height / 8), Math.floor(width / 8)])
      expect(pool5.shape.slice(2)).toEqual([Math.floor(height / 32), Math.floor(width / 32)])
      expect(await pool5.data()).toEqual(await (await whole.features(x, ['pool5'])).pool5.data())
    }
    await expect(net.features(imagesOf(1, 3, 31, 40), ['pool5'])).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(/images of 31x40 are too small/),
    })
  })

  test('is saved, loaded, frozen and copied from', async () => {
    const net = await trunk()
    const file = path.join(newFolder(), 'trunk.safetensors')
    await save(net, file)
    const again = await kept(load(file, { device: 'cpu', threads: 1 }))
    expect(again.configuration).toEqual(net.configuration)
    expect(await parametersOfNet(again)).toEqual(await parametersOfNet(net))
    again.freeze(['conv1', 'convolutions'])
    expect(again.frozen.length).toBe(convolutions)
    const whole = await kept(
      VGG.create({ variant: 'D', classes: 2, imageSize: 32, width: 0.0625, headWidth: 4, seed: 2 }),
    )
    const { copied, notCopied } = await whole.initialiseFrom(net, { layers: 'all' })
    expect([copied.length, notCopied.map(({ name }) => name)]).toEqual([convolutions, ['fc6', 'fc7', 'fc8']])
    expect(
      (await trunk({ seed: 3 }).then((other) => other.initialiseFrom(whole, { layers: 'all' }))).notCopied,
    ).toEqual([])
  })

  test('is refused from a file that contradicts itself', async () => {
    const model = { kind: 'VGG', ...(await trunk()).configuration, classNames: [] }
    expect(modelFrom(JSON.stringify(model))).toEqual(model)
    for (const change of [
      { classes: 5 },
      { headWidth: 8 },
      { classNames: ['a'] },
      { head: 'all' },
      { head: undefined },
    ])
      expect(() => modelFrom(JSON.stringify({ ...model, ...change }))).toThrow(
        expect.objectContaining({ code: 'FILE_FORMAT' }),
      )
  })

  test('gives the gradients of a loss of features', async () => {
    const net = await trunk()
    const x = imagesOf(2, 3, 64, 96)
    const wanted = await net.features(imagesOf(2, 3, 64, 96, 2), ['relu2_2'])
    const loss = async (images: Tensor): Promise<[number, Float32Array]> => {
      const { relu2_2 } = await net.features(images, ['relu2_2'], { training: true, inputGradient: true })
      const [a, b] = [await relu2_2.data(), await wanted.relu2_2.data()]
      const apart = a.map((value, at) => value - (b[at] ?? 0))
      return [apart.reduce((sum, one) => sum + (one * one) / 2, 0), Float32Array.from(apart)]
    }
    const [before, gradient] = await loss(x)
    const inject = { relu2_2: Tensor.from(gradient, wanted.relu2_2.shape) }
    const { inputGradient } = await net.backward({ gradient: Tensor.zeros([2, 32, 2, 3]) }, { inject })
    expect((await (await net.gradient('conv3_1.weight')).data()).every((value) => value === 0)).toBe(true)
    const slope = (await inputGradient?.data()) ?? new Float32Array()
    const square = slope.reduce((sum, one) => sum + one * one, 0)
    const pixels = await x.data()
    // a step down the slope, in which the loss falls by about 1 %
    const rate = (0.01 * before) / square
    const [after] = await loss(
      Tensor.from(
        Float32Array.from(pixels, (one, at) => one - rate * (slope[at] ?? 0)),
        x.shape,
      ),
    )
    expect((before - after) / before).toBeGreaterThan(0.005)
    expect((before - after) / before).toBeLessThan(0.015)
  })
})

describe('a head', () => {
  test('is attached to a network without one, for images of its size', async () => {
    const net = await trunk({ imageSize: [64, 96] })
    const whole = await kept(
      replaceHead(net, { classes: 2, classNames: ['a', 'b'], headWidth: 8, dropout: 0.2, seed: 4 }),
    )
    expect(whole.configuration).toMatchObject({ classes: 2, headWidth: 8, dropout: 0.2, imageSize: [64, 96] })
    expect(whole.configuration).not.toHaveProperty('head')
    expect(whole.layers.at(-3)).toMatchObject({ name: 'fc6', outputs: 8, window: [2, 3] })
    expect((await whole.forward(imagesOf(2, 3, 64, 96))).shape).toEqual([2, 2])
    expect(await parametersOfNet(whole)).toMatchObject(await parametersOfNet(net))
    expect([net.classes, whole.classes, whole.classNames]).toEqual([0, 2, ['a', 'b']])
  })

  test('of another width is new as a whole, and of the same only in fc8', async () => {
    const net = await kept(replaceHead(await trunk({ imageSize: 32 }), { classes: 2, headWidth: 8, seed: 4 }))
    const before = await parametersOfNet(net)
    const changed = async (made: VGG) => {
      const after = await parametersOfNet(made)
      return Object.keys(after).filter(
        (name) => name.endsWith('weight') && difference(after[name] ?? [], before[name] ?? []) > 0,
      )
    }
    const narrow = await kept(replaceHead(net, { classes: 2, headWidth: 4, seed: 5 }))
    expect(narrow.configuration).toMatchObject({ headWidth: 4, dropout: 0.5 })
    expect(await changed(narrow)).toEqual(['fc6.weight', 'fc7.weight', 'fc8.weight'])
    const same = await kept(replaceHead(net, { classes: 2, headWidth: 8, dropout: 0, seed: 5 }))
    expect(same.configuration).toMatchObject({ headWidth: 8, dropout: 0 })
    expect(await changed(same)).toEqual(['fc8.weight'])
  })

  test('is attached to a model without one where a run starts from it', async () => {
    const folder = newFolder()
    const from = path.join(folder, 'trunk.safetensors')
    await save(await trunk({ channels: 1, imageSize: 32 }), from)
    const data = await writeStripes(folder, 'images', 12, 1)
    const names = ['lying', 'progress', 'leaning']
    const model = { headWidth: 8, dropout: 0.25 }
    const description = runDescription({ data, classNames: names, model, start: { from }, freeze: ['conv1', 'fc6'] })
    await createRun(path.join(folder, 'run'), { format: 1, vggnet: '0.1.0', description })
    const net = await kept(openNetwork(description, await findSources(description)))
    expect(net.configuration).toMatchObject({ variant: { name: 'D' }, classes: 3, headWidth: 8, dropout: 0.25 })
    expect([net.classNames, net.layers.at(-1)]).toMatchObject([names, { name: 'fc8', outputs: 3 }])
  })
})
