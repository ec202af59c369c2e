import { expect, it } from 'vitest'
import { elementCount, Tensor } from '../../lib/tensor.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, opening, precisionOf } from '../devices.js'

/** Values that differ, from -1 to 1. */
const wave = (count: number, phase = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i + phase))
const images = (n: number, h: number, w: number): Tensor<'float32'> =>
  Tensor.from(
    wave(n * 3 * h * w).map((value) => 127 + 100 * value),
    [n, 3, h, w],
  )

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

describeOnEach('vjp', (device) => {
  const trunk = (variant: 'A' | 'D' = 'A') =>
    VGG.create({ variant, head: 'none', width: 0.07, initialisation: 'he', seed: 3, ...opening[device] })
  const head = () =>
    VGG.create({ variant: 'A', classes: 5, width: 0.07, headWidth: 12, imageSize: 32, seed: 3, ...opening[device] })

  // bf16 has too few digits for differences; test/device/vjp.test.ts compares it with the reference
  it.runIf(precisionOf(device) !== 'bf16')(
    'agrees with finite differences, at sizes that no head would take',
    async () => {
      using net = await trunk()
      for (const [h, w] of [
        [16, 16],
        [23, 37],
        [9, 64],
      ] as const) {
        const x = images(2, h, w)
        const { relu3_2 } = await net.features(x, ['relu3_2'])
        const g = Tensor.from(wave(elementCount(relu3_2.shape), 1), relu3_2.shape)
        const { image } = await net.vjp(x, { relu3_2: g }, { wrt: ['image'] })
        expect(image.shape).toEqual(x.shape)
        // along the gradient, where the slope is far above rounding, by central differences
        const gradient = await image.data()
        const largest = Math.max(...gradient.map(Math.abs))
        const direction = gradient.map((value) => value / largest)
        const along = async (step: number) => {
          const moved = (await x.data()).map((value, index) => value + step * (direction[index] ?? 0))
          const { relu3_2 } = await net.features(Tensor.from(moved, x.shape), ['relu3_2'])
          return dot(await relu3_2.data(), await g.data())
        }
        const step = 0.1
        const slope = ((await along(step)) - (await along(-step))) / (2 * step)
        expect(Math.abs(dot(gradient, direction) / slope - 1)).toBeLessThan(0.02)
      }
    },
  )

  it('computes no parameter gradient, keeps those that are valid, and has no dropout', async () => {
    using net = await head()
    const x = images(2, 32, 32)
    await net.forward(x, { training: true })
    await net.backward([1, 4])
    const before = await (await net.gradient('conv1_1.weight')).data()
    const g = Tensor.from(wave(2 * 5), [2, 5])
    const first = await net.vjp(x, { fc8: g }, { wrt: ['image', 'relu6'] })
    const second = await net.vjp(x, { fc8: g }, { wrt: ['image', 'relu6'] })
    expect(await second.image.data()).toEqual(await first.image.data())
    expect(first.relu6.shape).toEqual([2, 12])
    expect(await (await net.gradient('conv1_1.weight')).data()).toEqual(before)
    // its forward pass is not one that backward may follow
    await expect(net.backward([1, 4])).rejects.toMatchObject({ code: 'STATE' })
  })

  it('takes functions of the values, which see all tensors with a cotangent, and parts of the batch', async () => {
    using net = await trunk()
    const x = images(3, 20, 20)
    const seen: string[] = []
    const square =
      (name: 'relu1_1' | 'relu2_1') => async (values: Record<'relu1_1' | 'relu2_1', Tensor<'float32'>>) => {
        seen.push(`${name} of ${Object.keys(values)} ${values[name].shape[0]}`)
        return Tensor.from(
          (await values[name].data()).map((value) => 2 * value),
          values[name].shape,
        )
      }
    const whole = await net.vjp(x, { relu1_1: square('relu1_1'), relu2_1: square('relu2_1') }, { wrt: ['image'] })
    expect(seen).toEqual(['relu1_1 of relu1_1,relu2_1 3', 'relu2_1 of relu1_1,relu2_1 3'])
    const { relu1_1, relu2_1 } = await net.features(x, ['relu1_1', 'relu2_1'])
    const twice = async (tensor: Tensor<'float32'>) =>
      Tensor.from(
        (await tensor.data()).map((v) => 2 * v),
        tensor.shape,
      )
    const given = await net.vjp(x, { relu1_1: await twice(relu1_1), relu2_1: await twice(relu2_1) }, { wrt: ['image'] })
    expect(await whole.image.data()).toEqual(await given.image.data())
    seen.length = 0
    const options = { wrt: ['image'], microBatch: 2 } as const
    const parts = await net.vjp(x, { relu1_1: square('relu1_1'), relu2_1: await twice(relu2_1) }, options)
    expect(seen).toEqual(['relu1_1 of relu1_1,relu2_1 2', 'relu1_1 of relu1_1,relu2_1 1'])
    const [a, b] = [await parts.image.data(), await given.image.data()]
    expect(Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? 0))))).toBeLessThan(1e-4 * Math.max(...b))
  })

  it('uses the values at the time of the call', async () => {
    using net = await trunk()
    const data = wave(3 * 16 * 16).map((value) => 100 + value)
    const g = wave(4 * 16 * 16)
    const call = () =>
      net.vjp(Tensor.from(data, [1, 3, 16, 16]), { conv1_1: Tensor.from(g, [1, 4, 16, 16]) }, { wrt: ['image'] })
    const expected = await (await call()).image.data()
    const pending = [call(), call()]
    data.fill(0)
    g.fill(0)
    for (const { image } of await Promise.all(pending)) expect(await image.data()).toEqual(expected)
  })

  it("knows torchvision's and Keras's names", async () => {
    using net: VGG = await trunk('D')
    const x = images(1, 16, 16)
    const names = [
      'features.21',
      'conv4_3',
      'features.22',
      'relu4_3',
      'block4_conv3',
      'features.4',
      'block1_pool',
      'pool1',
    ] as const
    const found = await net.features(x, names)
    expect(Object.keys(found)).toEqual([...names])
    const same = async (a: (typeof names)[number], b: (typeof names)[number]) =>
      expect(await found[a].data()).toEqual(await found[b].data())
    await same('features.21', 'conv4_3')
    await same('features.22', 'relu4_3')
    await same('block4_conv3', 'relu4_3')
    await same('features.4', 'pool1')
    await same('block1_pool', 'pool1')
    const g = Tensor.from(wave(elementCount(found.relu4_3.shape)), found.relu4_3.shape)
    const keras = await net.vjp(x, { block4_conv3: g }, { wrt: ['features.21'] })
    expect(keras['features.21'].shape).toEqual(found.conv4_3.shape)
    await expect(net.features(x, ['features.31'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('refuses what it cannot do, and the network remains usable', async () => {
    using net = await trunk()
    const x = images(1, 16, 16)
    const g = Tensor.from(wave(4 * 16 * 16), [1, 4, 16, 16])
    const refused = async (promise: () => Promise<unknown>, code: string, message: RegExp) =>
      expect(promise()).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    // biome-ignore lint/suspicious/noExplicitAny: what the types refuse is refused without them too
    const vjp = (...given: any[]) => (net.vjp as any)(...given)
    const wrt = { wrt: ['image'] }
    await refused(() => vjp(x, {}, wrt), 'INVALID_ARGUMENT', /at least one tensor/)
    await refused(() => vjp(x, { relu9_9: g }, wrt), 'INVALID_ARGUMENT', /relu9_9/)
    await refused(() => vjp(x, { relu1_1: [1] }, wrt), 'INVALID_ARGUMENT', /float32 tensor for cotangents.relu1_1/)
    await refused(() => vjp(x, { relu1_1: g, 'features.1': g }, wrt), 'INVALID_ARGUMENT', /each tensor once/)
    await refused(() => vjp(x, { relu1_1: g }, { wrt: [] }), 'INVALID_ARGUMENT', /at least one tensor or 'image'/)
    await refused(() => vjp(x, { relu1_1: g }, {}), 'INVALID_ARGUMENT', /wrt/)
    await refused(() => vjp(x, { relu1_1: g }, { wrt: ['relu2_1'] }), 'INVALID_ARGUMENT', /above 'relu1_1'/)
    await refused(() => vjp(x, { pool1: g }, wrt), 'SHAPE_MISMATCH', /pool1/)
    const two = Tensor.from(new Float32Array(2 * 4 * 16 * 16), [2, 4, 16, 16])
    await refused(() => vjp(x, { relu1_1: two }, wrt), 'SHAPE_MISMATCH', /1 rows, one for each image/)
    const bad = Tensor.from((await g.data()).slice().fill(Number.NaN, 7, 8), g.shape)
    await refused(() => vjp(x, { relu1_1: bad }, wrt), 'NOT_FINITE', /at 'relu1_1' but value 7/)
    await refused(() => vjp(x, { relu1_1: () => 3 }, wrt), 'INVALID_ARGUMENT', /the result of cotangents.relu1_1/)
    const fails = () => {
      throw new Error('of the loss')
    }
    await expect(vjp(x, { relu1_1: fails }, wrt)).rejects.toThrow('of the loss')
    const calls = async () => net.features(x, ['relu1_1']).then(({ relu1_1 }) => relu1_1)
    await refused(() => vjp(x, { relu1_1: calls }, wrt), 'STATE', /cannot be called in it/)
    await net.vjp(x, { relu1_1: g }, { wrt: ['image'] })
  })
})
