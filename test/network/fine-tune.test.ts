import { describe, expect, test } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import { loadTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { replaceHead } from '../../lib/vgg/vgg.js'
import { describeOnEach, repeatable } from '../devices.js'
import { newFolder } from '../setup/folder.js'
import { kept, netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'
import { parametersOfNet } from './small.js'

const openOn = netsOpened()

const data = stripes(24, 1)
const quick = { epochs: 1, batch: 8, learningRate: 0.01, seed: 3 }

/** Names of the layers of which a parameter changed. */
async function changedLayers(net: VGG, run: () => Promise<unknown>): Promise<string[]> {
  const before = await parametersOfNet(net)
  await run()
  const after = await parametersOfNet(net)
  const changed = Object.keys(before).filter((name) => Buffer.compare(bytes(before[name]), bytes(after[name])) !== 0)
  return [...new Set(changed.map((name) => name.replace(/\.\w+$/, '')))]
}

const bytes = (values: Float32Array = new Float32Array()): Buffer => Buffer.from(values.buffer)

describeOnEach('layers that are frozen', (device) => {
  const open = openOn(device)

  test('by name, block and kind keep every bit, which the report proves', async () => {
    const net = await open()
    let proof: unknown
    const changed = await changedLayers(net, async () => {
      const report = await train(net, data, { ...quick, freeze: ['conv3', 'fc7', 'conv1_1'] })
      proof = report.frozen
    })
    expect(changed).toEqual(['conv2_1', 'conv4_1', 'conv4_2', 'conv5_1', 'conv5_2', 'fc6', 'fc8'])
    expect(proof).toMatchObject({ layers: ['conv1_1', 'conv3_1', 'conv3_2', 'fc7'] })
    const { before, after } = proof as { before: string; after: string }
    expect(before).toMatch(/^[0-9a-f]{64}$/)
    expect(after).toBe(before)
    expect(await changedLayers(net, () => train(net, data, { ...quick, freeze: ['convolutions'] }))).toEqual([
      'fc6',
      'fc8',
    ])
  })

  test('are named in the network as in train: layers, blocks, convolutions, head', async () => {
    const net = await open()
    net.freeze(['conv3', 'head', 'conv1_1'])
    expect(net.frozen).toEqual(['conv1_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8'])
    net.unfreeze(['head', 'conv1'])
    expect(net.frozen).toEqual(['conv3_1', 'conv3_2'])
    net.unfreeze()
    const images = Tensor.from(new Uint8Array(2 * 32 * 32).fill(100), [2, 32, 32, 1])
    const step = { learningRate: 0.1, rateFactors: { convolutions: 0, head: 0, fc8: 1 } }
    expect(await changedLayers(net, () => net.step(images, [0, 1], step))).toEqual(['fc8'])
    const other = await open()
    expect((await net.initialiseFrom(other, { layers: ['conv3', 'fc8'] })).copied).toEqual([
      'conv3_1',
      'conv3_2',
      'fc8',
    ])
  })

  test('in the network before the training are reported too; a hash shows a change', async () => {
    const net = await open()
    net.freeze(['fc8'])
    const { frozen: first } = await train(net, data, quick)
    expect(first?.layers).toEqual(['fc8'])
    const weight = await net.parameter('fc8.bias')
    const onEpoch = async (): Promise<void> => {
      const values = await weight.data()
      values[0] = 1
      await net.setParameter('fc8.bias', Tensor.from(values, weight.shape))
    }
    const { frozen: second } = await train(net, data, { ...quick, onEpoch })
    expect(second?.before).toBe(first?.after)
    expect(second?.after).not.toBe(second?.before)
  })

  test('stay frozen in a resumed training, and the proof covers it from its start', async () => {
    const folder = newFolder()
    const net = await open()
    const stopping = new AbortController()
    const options = { ...quick, epochs: 2, freeze: ['conv1'], checkpoint: { folder } }
    const ended = train(net, data, { ...options, signal: stopping.signal, onStep: () => stopping.abort() })
    await expect(ended).rejects.toMatchObject({
      code: 'ABORTED',
      message: expect.stringMatching(/it is saved in .*step-/),
    })
    const [path = ''] = (await import('node:fs')).readdirSync(folder).map((name) => `${folder}/${name}`)
    const { net: loaded, state } = await loadTraining(path, repeatable(device))
    kept(loaded)
    const changed = await changedLayers(loaded, () => train(loaded, data, { checkpoint: { folder }, resume: state }))
    expect(changed).not.toContain('conv1_1')
    expect(changed).toContain('conv2_1')
    expect(loaded.frozen).toEqual(['conv1_1'])
  })
})

describeOnEach('rate factors by group', (device) => {
  const open = openOn(device)

  test('become rate factors by layer for net.step; the name of the fewest layers decides', async () => {
    const net = await open()
    const changed = await changedLayers(net, () =>
      train(net, data, {
        ...quick,
        weightDecay: 0,
        rateFactors: { convolutions: 0, conv4_2: 1, conv4: 0, head: 0, fc8: 10 },
      }),
    )
    expect(changed).toEqual(['conv4_2', 'fc8'])
  })
})

describeOnEach('another head', (device) => {
  const open = openOn(device)

  test('has its classes; all other layers and options are those of the network', async () => {
    const net = await open({ dropout: 0.2, meanRgb: 99, classNames: ['a', 'b', 'c'] })
    await train(net, data, quick)
    const made = kept(await replaceHead(net, { classes: 5, classNames: ['p', 'q', 'r', 's', 't'], seed: 8 }))
    const [before, after] = [await parametersOfNet(net), await parametersOfNet(made)]
    for (const [name, values] of Object.entries(before)) {
      if (!name.startsWith('fc8')) expect(after[name], name).toEqual(values)
    }
    expect(after['fc8.weight']).toHaveLength(5 * 32)
    expect(after['fc8.weight']?.some((value) => value !== 0)).toBe(true)
    expect(made.configuration).toEqual({ ...net.configuration, classes: 5 })
    expect([made.classNames, made.device, made.precision]).toEqual([
      ['p', 'q', 'r', 's', 't'],
      net.device,
      net.precision,
    ])
    expect(made.run).toEqual({ ...net.run, seed: 8 })
    expect((await train(made, data, { ...quick, freeze: ['convolutions'], rateFactors: { fc8: 10 } })).steps).toBe(3)
  })
})

describe('options that do not fit are refused', () => {
  const open = openOn('cpu')

  test.each<[string, object, RegExp]>([
    ['a layer that is not there', { freeze: ['conv9_1'] }, /conv1_1.*did you mean/],
    ['every layer', { freeze: ['convolutions', 'head'] }, /at least one layer left/],
    ['a rate factor below 0', { rateFactors: { fc8: -1 } }, /at least 0 for rateFactors.fc8/],
    [
      'a rate factor of an unknown layer',
      { rateFactors: { fc9: 1 } },
      /for rateFactors \(--rate-factors\) but received 'fc9'/,
    ],
    ['rate factors that are none', { rateFactors: [1] }, /object of layer names/],
  ])('%s', async (_, options, message) => {
    await expect(train(await open(), data, { ...quick, ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    })
  })

  test('of replaceHead', async () => {
    const net = await open()
    await expect(replaceHead(net, { classes: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(replaceHead(net, { classes: 2, classNames: ['a'] })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(replaceHead(net, { classes: 2, clases: 1 } as never)).rejects.toThrow(/did you mean 'classes'/)
    await expect(replaceHead({} as VGG, { classes: 2 })).rejects.toThrow(/a VGG for net/)
    net.dispose()
    await expect(replaceHead(net, { classes: 2 })).rejects.toMatchObject({ code: 'DISPOSED' })
  })
})
