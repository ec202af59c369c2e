import { expect, it } from 'vitest'
import { layersOfA, Network, VGG } from '../../lib/index.js'
import { describeOnEach, repeatable } from '../devices.js'
import { parametersOfNet, smallNetOn } from './small.js'

describeOnEach('initialiseFrom', (device) => {
  const smallNet = smallNetOn(device)
  const options = { imageSize: 32, width: 1 / 16, headWidth: 32, ...repeatable(device), threads: 1 } as const

  it('copies named layers', async () => {
    using a = await VGG.create({ ...options, variant: 'A', classes: 10, seed: 1 })
    using d = await VGG.create({ ...options, variant: 'D', classes: 10, seed: 2 })
    const before = await parametersOfNet(d)
    expect(await d.initialiseFrom(a, { layers: layersOfA })).toEqual({ copied: layersOfA, notCopied: [] })
    const [source, target] = [await parametersOfNet(a), await parametersOfNet(d)]
    for (const name of layersOfA) expect(target[`${name}.weight`]).toEqual(source[`${name}.weight`])
    for (const name of ['conv1_2', 'conv4_1']) expect(target[`${name}.weight`]).toEqual(before[`${name}.weight`])
  })

  it('copies all layers that fit, and reports the others', async () => {
    using d = await VGG.create({ ...options, variant: 'D', classes: 10, seed: 1 })
    using e = await VGG.create({ ...options, variant: 'E', classes: 20, seed: 2 })
    const { copied, notCopied } = await e.initialiseFrom(d, { layers: 'all' })
    expect(copied).toHaveLength(15)
    expect(notCopied.map(({ name }) => name)).toEqual(['conv3_4', 'conv4_4', 'conv5_4', 'fc8'])
    expect(notCopied.at(-1)?.reason).toContain('[20, 32]')
    const [source, target] = [await parametersOfNet(d), await parametersOfNet(e)]
    for (const name of copied) expect(target[`${name}.weight`]).toEqual(source[`${name}.weight`])
  })

  it('copies nothing if a named layer does not fit, or none does', async () => {
    using a = await VGG.create({ ...options, variant: 'A', classes: 10, seed: 1 })
    using d = await VGG.create({ ...options, variant: 'D', classes: 20, seed: 2 })
    using wide = await VGG.create({ ...options, variant: 'A', classes: 30, width: 1 / 8, headWidth: 48 })
    const before = await parametersOfNet(d)
    const named = d.initialiseFrom(a, { layers: layersOfA })
    await expect(named).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(/fc8: its shapes/),
    })
    const all = d.initialiseFrom(wide, { layers: 'all' })
    await expect(all).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(/none of its layers/),
    })
    expect(await parametersOfNet(d)).toEqual(before)
  })

  it.each<[string, unknown, unknown, RegExp]>([
    ['another network that is none', {}, { layers: 'all' }, /a Network for other/],
    ['a layer that is not there', undefined, { layers: ['conv9_9'] }, /received 'conv9_9'/],
    ['no layers', undefined, { layers: [] }, /'all' or an array of layer names/],
    ['no choice of layers', undefined, undefined, /'all' or an array of layer names for layers/],
  ])('refuses %s', async (_, other, given, message) => {
    using net = await smallNet()
    const copying = net.initialiseFrom((other ?? net) as Network, given as { layers: 'all' })
    await expect(copying).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) })
  })

  it('copies the shared layers from a network of custom layers', async () => {
    const layers = [
      { kind: 'input', channels: 2, mean: [0, 0], scale: [1, 1] },
      { kind: 'convolution', name: 'conv1_1', outputs: 4, kernel: 3 },
      { kind: 'linear', name: 'own', outputs: 3, window: [8, 12] },
    ] as const
    const [own, net] = [await Network.create({ layers, ...repeatable(device), threads: 1 }), await smallNet()]
    expect(await own.initialiseFrom(net, { layers: 'all' })).toEqual({
      copied: ['conv1_1'],
      notCopied: [{ name: 'own', reason: 'the other network has no such layer with parameters' }],
    })
    own.dispose()
    net.dispose()
  })
})
