import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Network, Tensor, VGG } from '../../lib/index.js'
import { expectClose, outputTolerance } from '../compare.js'
import { describeOnEach, precisionOf } from '../devices.js'
import { parametersOfNet, smallBatch, smallNetOn } from './small.js'

describe('the example of the README', () => {
  it('runs unchanged', async () => {
    const net = await VGG.create({ variant: 'VGG16', classes: 500, device: 'auto', seed: 1 })
    const x = Tensor.randn([1, 3, 224, 224], { seed: 2 })
    const logits = await net.forward(x)
    expect(logits.shape).toEqual([1, 500])
    expect((await logits.data()).every(Number.isFinite)).toBe(true)
    const { loss } = await net.step(x, [7], { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 })
    expect(Math.abs(loss - Math.log(500))).toBeLessThan(3)
    net.dispose()
  })
})

describeOnEach('a network', (device) => {
  const smallNet = smallNetOn(device)
  let net: VGG
  beforeAll(async () => {
    net = await smallNet()
  })
  afterAll(() => net.dispose())

  it('reports its device, precision and shape', () => {
    expect(net).toBeInstanceOf(Network)
    expect(net.device).toBe(device === 'cpu' ? 'cpu' : 'cuda:0')
    expect(net.variant).toBe('small')
    expect(net.classes).toBe(5)
    expect(net.imageSize).toEqual([8, 12])
    expect(net.parameters[0]).toEqual({ name: 'conv1_1.weight', shape: [4, 2, 3, 3], count: 72 })
  })

  it('has initial weights that depend on its seed', async () => {
    const [same, other] = [await smallNet(), await smallNet({ seed: 4 })]
    expect(await parametersOfNet(same)).toEqual(await parametersOfNet(net))
    expect(await parametersOfNet(other)).not.toEqual(await parametersOfNet(net))
    same.dispose()
    other.dispose()
  })

  it('gives equal results for uint8 [n, h, w, c] and float32 [n, c, h, w]', async () => {
    const bytes = Uint8Array.from({ length: 8 * 12 * 2 }, (_, i) => (i * 37) % 256)
    const floats = Float32Array.from({ length: 8 * 12 * 2 }, (_, i) => bytes[(i % 96) * 2 + Math.floor(i / 96)] ?? 0)
    const one = await net.forward(Tensor.from(bytes, [1, 8, 12, 2]))
    const two = await net.forward(Tensor.from(floats, [1, 2, 8, 12]))
    expect(await one.data()).toEqual(await two.data())
  })

  it('returns features by name, before and after the ReLU', async () => {
    const found = await net.features(smallBatch(3).images, ['relu1_1', 'conv2_2', 'relu2_2', 'pool2', 'fc7', 'fc8'])
    const shapes = Object.entries(found).map(([name, { shape }]) => [name, [...shape]])
    expect(Object.fromEntries(shapes)).toEqual({
      relu1_1: [3, 4, 8, 12],
      conv2_2: [3, 8, 4, 6],
      relu2_2: [3, 8, 4, 6],
      pool2: [3, 8, 2, 3],
      fc7: [3, 16],
      fc8: [3, 5],
    })
    const before = await found.conv2_2?.data()
    expect(await found.relu2_2?.data()).toEqual(before?.map((value) => Math.max(0, value)))
    expect(before?.some((value) => value < 0)).toBe(true)
    // with taps a GPU computes separate stages, which round differently
    const whole = await (await net.forward(smallBatch(3).images)).data()
    const tolerance = device === 'cpu' ? {} : outputTolerance(precisionOf(device), { relative: 1e-5 })
    expectClose('fc8', (await found.fc8?.data()) ?? [], whole, tolerance)
  })

  it('returns a class map for larger images', async () => {
    expect((await net.forward(Tensor.zeros([2, 2, 16, 20]))).shape).toEqual([2, 5, 3, 3])
  })

  it('measures its stages', async () => {
    const stages = await net.profile(smallBatch(2).images)
    expect(stages.map(({ name }) => name)).toContain('conv2_1')
    for (const { forwardMs, backwardMs } of stages) expect(forwardMs >= 0 && backwardMs >= 0).toBe(true)
  })

  it('measures them with every layer frozen', async () => {
    net.freeze(net.parameters.map(({ name }) => name.split('.')[0] ?? ''))
    const stages = await net.profile(smallBatch(2).images)
    net.unfreeze()
    expect(stages.map(({ backwardMs }) => backwardMs)).toEqual(stages.map(() => 0))
  })
})
