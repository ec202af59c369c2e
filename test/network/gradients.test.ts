// Gradients are valid from `backward` until the parameters, or which layers are frozen, change.
import { expect, it } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach } from '../devices.js'
import { parametersOfNet, smallBatch, smallNetOn } from './small.js'

const { images, labels } = smallBatch(6)
const other = smallBatch(6, 2)
const update = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 }
const weight = 'fc8.weight'

const valuesOf = async (tensor: Promise<Tensor<'float32'>>): Promise<Float32Array> => (await tensor).data()

async function backward(net: VGG, { images, labels } = smallBatch(6), options = {}): Promise<void> {
  await net.forward(images, { training: true })
  await net.backward(labels, options)
}

describeOnEach('gradients', (device) => {
  const smallNet = smallNetOn(device)

  /** Each leaves gradients that are no longer valid. */
  const changes: readonly (readonly [string, (net: VGG) => unknown])[] = [
    ['setParameter', async (net) => net.setParameter(weight, await net.parameter(weight))],
    ['freeze', (net) => net.freeze(['conv1_1'])],
    ['initialiseFrom', async (net) => net.initialiseFrom(await smallNet({ seed: 9 }), { layers: 'all' })],
    ['profile', (net) => net.profile(images)],
    ['a step that is not finite', (net) => net.step(images, labels, { learningRate: 3e38 }).catch(() => undefined)],
  ]

  it.each(changes)('are not valid after %s', async (_, change) => {
    using net = await smallNet()
    await backward(net)
    await change(net)
    const state = { code: 'STATE', message: expect.stringMatching(/call forward and backward again/) }
    await expect(net.gradient(weight)).rejects.toMatchObject(state)
    await expect(net.update(update)).rejects.toMatchObject(state)
    await expect(backward(net, other, { accumulate: true })).rejects.toMatchObject(state)
    await backward(net)
    await net.update(update)
  })

  it.each([
    ['update', (net: VGG) => net.update(update)],
    ['step', (net: VGG) => net.step(images, labels, update)],
  ])('are used up by %s', async (_, use) => {
    using net = await smallNet()
    await backward(net)
    await use(net)
    const used = await parametersOfNet(net)
    const state = { code: 'STATE', message: expect.stringMatching(/none since the last update or step/) }
    await expect(net.update(update)).rejects.toMatchObject(state)
    await expect(net.gradient(weight)).rejects.toMatchObject(state)
    expect(await parametersOfNet(net)).toEqual(used)
    // accumulation starts from zero
    await backward(net, other, { accumulate: true })
    const accumulated = await valuesOf(net.gradient(weight))
    await backward(net, other)
    expect(accumulated).toEqual(await valuesOf(net.gradient(weight)))
  })

  it('are there for no layer before the first backward pass, and never for one that is frozen', async () => {
    using net = await smallNet()
    await expect(net.gradient(weight)).rejects.toMatchObject({ code: 'STATE' })
    net.freeze(['conv1_1'])
    await backward(net)
    expect((await valuesOf(net.gradient(weight))).some((value) => value !== 0)).toBe(true)
    const frozen = { code: 'STATE', message: "the layer 'conv1_1' is frozen: it has no gradient" }
    await expect(net.gradient('conv1_1.weight')).rejects.toMatchObject(frozen)
  })

  it('of a layer that was frozen and thawed after the backward pass are not applied', async () => {
    using net = await smallNet()
    await backward(net)
    net.freeze(['fc8'])
    await backward(net)
    await net.update(update)
    const before = await parametersOfNet(net)
    net.unfreeze()
    await expect(net.update(update)).rejects.toMatchObject({ code: 'STATE' })
    expect(await parametersOfNet(net)).toEqual(before)
  })

  it('stay valid while nothing changes', async () => {
    using net = await smallNet()
    await backward(net)
    const first = await valuesOf(net.gradient(weight))
    await net.forward(other.images)
    await net.features(other.images, ['fc7'])
    net.unfreeze()
    await net.setVelocity(weight, Tensor.zeros([5, 16]))
    expect(await valuesOf(net.gradient(weight))).toEqual(first)
    await backward(net, other, { accumulate: true })
    const both = await valuesOf(net.gradient(weight))
    await backward(net, other)
    const second = await valuesOf(net.gradient(weight))
    both.forEach((value, index) => {
      expect(value).toBeCloseTo((first[index] ?? 0) + (second[index] ?? 0), 2)
    })
  })

  it.each([
    ['a parameter', async (net: VGG) => net.setParameter(weight, await net.parameter(weight)), /were changed/],
    ['the step that dropout is drawn by', (net: VGG) => net.setTrainingStep(7), /forward/],
  ])('need a forward pass after a change of %s', async (_, change, message) => {
    using net = await smallNet()
    await net.forward(images, { training: true })
    await change(net)
    const state = { code: 'STATE', message: expect.stringMatching(message) }
    await expect(net.backward(labels)).rejects.toMatchObject(state)
    await backward(net)
  })
})
