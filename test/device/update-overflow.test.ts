// An update that would make a weight overflow changes nothing. A GPU reads weights and velocities for that only where a bound
// that it keeps of them does not tell; here it must not.
import { expect, test } from 'vitest'
import type { Layer } from '../../lib/layer.js'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import { describeOnEach, opening } from '../devices.js'

const linear = (name: string): Layer => ({ kind: 'linear', name, outputs: 2, window: [1, 1] })
const layers: readonly Layer[] = [
  { kind: 'input', channels: 2, mean: [0, 0], scale: [1, 1] },
  linear('below'),
  linear('above'),
]

/** The second channel is black: only decay moves its weights. Decay 3 at rate 1 turns w into -2 w. */
const imagesOf = (pixel: number) => Tensor.from(Float32Array.of(pixel, 0, -pixel, 0), [2, 2, 1, 1])
const calm = { learningRate: 1e-3, momentum: 0, weightDecay: 0 }
const doubling = { learningRate: 1, momentum: 0, weightDecay: 3 }

describeOnEach('a weight that would overflow', (device) => {
  const open = () => Network.create({ layers, ...opening[device], initialisation: 'glorot', seed: 3 })
  const step = (net: Network, options: typeof calm, pixel = 1) => net.step(imagesOf(pixel), [0, 0], options)
  const write = (net: Network, value: number) =>
    net.setParameter('below.weight', Tensor.from(Float32Array.of(0.5, value, -0.5, value), [2, 2]))

  async function expectRefused(net: Network, options: typeof calm, pixel = 1): Promise<void> {
    const weights = () => Promise.all(net.parameters.map(async ({ name }) => (await net.parameter(name)).data()))
    const before = await weights()
    await expect(step(net, options, pixel)).rejects.toMatchObject({ code: 'NOT_FINITE' })
    expect(await weights()).toEqual(before)
    await step(net, calm)
  }

  test.each([0, 3])('after the host has written it, and %i steps', async (steps) => {
    using net = await open()
    for (let i = 0; i < 3; i++) await step(net, calm)
    await write(net, 2e38)
    for (let i = 0; i < steps; i++) await step(net, calm)
    await expectRefused(net, doubling)
  })

  test('after updates have made it large', async () => {
    using net = await open()
    await write(net, 1e20)
    await step(net, { learningRate: 1, momentum: 0, weightDecay: 2e18 })
    for (let i = 0; i < 3; i++) await step(net, calm)
    await expectRefused(net, doubling)
  })

  test('after updates of other layers only', async () => {
    using net = await open()
    for (let i = 0; i < 3; i++) await step(net, calm)
    await write(net, 2e38)
    net.freeze(['below'])
    for (let i = 0; i < 3; i++) await step(net, calm)
    net.unfreeze()
    await expectRefused(net, doubling)
  })

  test('by its gradient', async () => {
    using net = await open()
    for (let i = 0; i < 3; i++) await step(net, calm)
    await expectRefused(net, { learningRate: 1e30, momentum: 0, weightDecay: 0 }, 1e15)
  })

  test('by its velocity', async () => {
    using net = await open()
    await write(net, 1e20)
    await step(net, { learningRate: 1, momentum: 0, weightDecay: 1e18 }) // -1e38, and so is the velocity
    const falling = { ...calm, momentum: 0.99 }
    for (let i = 0; i < 2; i++) await step(net, falling)
    await expectRefused(net, falling)
  })
})
