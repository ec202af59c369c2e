// A value that overflows stays visible: NaN and infinity reach the output, on every device.
import { expect, test } from 'vitest'
import type { Layer } from '../../lib/layer.js'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import { describeOnEach, onEachDevice, repeatable, type TestDevice } from '../devices.js'

const outputs = 4
const huge = 3e38

interface OverflowCase {
  readonly name: string
  /** n, c, h, w. */
  readonly images: readonly [number, number, number, number]
  readonly layers: readonly Layer[]
  readonly exact?: boolean
}

const convolution = (kernel: 1 | 3): Layer => ({ kind: 'convolution', name: 'conv', outputs, kernel, relu: 'relu' })
const pool: Layer = { kind: 'max-pool', name: 'pool' }
const linear = (side: number): Layer => ({
  kind: 'linear',
  name: 'fc',
  outputs,
  window: [side, side],
  relu: 'relu',
})

// The sizes choose how the CPU convolves: directly, by Winograd, or as one matrix product.
const sizes: readonly (readonly [string, 1 | 3, OverflowCase['images']])[] = [
  ['3x3 on 3 channels', 3, [2, 3, 8, 8]],
  ['1x1 on 3 channels', 1, [2, 3, 8, 8]],
  ['3x3 on 20 channels', 3, [2, 20, 8, 8]],
  ['3x3 on 20 channels of 16x16', 3, [2, 20, 16, 16]],
  ['1x1 on 20 channels', 1, [2, 20, 8, 8]],
  ['3x3 on a map of 2x2', 3, [2, 20, 2, 2]],
  ['3x3 on maps of 2x2 of many images', 3, [32, 20, 2, 2]],
]

const cases: readonly OverflowCase[] = [
  ...sizes.flatMap(([name, kernel, images]) => [
    { name, images, layers: [convolution(kernel)] },
    { name: `${name}, pooled`, images, layers: [convolution(kernel), pool] },
  ]),
  { name: '3x3 on 20 channels of 16x16, exact', images: [2, 20, 16, 16], layers: [convolution(3)], exact: true },
  { name: 'a linear layer', images: [3, 20, 2, 2], layers: [linear(2)] },
  { name: 'a linear layer that slides', images: [3, 20, 3, 3], layers: [linear(2)] },
]

/** One value for all weights of each output. */
function weightsOf([outputCount = 0, ...rest]: readonly number[]): Tensor<'float32'> {
  const each = rest.reduce((product, length) => product * length, 1)
  const value = [huge, -huge, 1e-3, 1]
  const values = Float32Array.from({ length: outputCount * each }, (_, index) => value[Math.floor(index / each)] ?? 0)
  return Tensor.from(values, [outputCount, ...rest])
}

/** The values of each output channel, for images with these pixels times `scale`. */
async function outputsOf(device: TestDevice, testCase: OverflowCase, scale: number, pixel: (index: number) => number) {
  const { images, layers, exact } = testCase
  const [, channels, height, width] = images
  const scales = new Array<number>(channels).fill(scale)
  const input: Layer = { kind: 'input', channels, mean: scales.map(() => 0), scale: scales }
  using network = await Network.create({ layers: [input, ...layers], ...repeatable(device), exact: exact === true })
  const [weight, bias] = network.parameters
  await network.setParameter(weight?.name ?? '', weightsOf(weight?.shape ?? []))
  await network.setParameter(bias?.name ?? '', Tensor.zeros([outputs]))
  const count = images.reduce((product, length) => product * length, 1)
  const pixels = Float32Array.from({ length: count }, (_, index) => {
    return pixel(Math.floor(index / (height * width)) % channels)
  })
  const output = await network.forward(Tensor.from(pixels, images))
  const positions = output.shape.slice(2).reduce((product, length) => product * length, 1)
  const values = await output.data()
  return Array.from({ length: outputs }, (_, channel) =>
    values.filter((_, index) => Math.floor(index / positions) % outputs === channel),
  )
}

onEachDevice('a sum that overflows is not rectified to a number', cases, async (device, testCase) => {
  const [positive, negative, small] = await outputsOf(device, testCase, 1, (channel) => 2 + channel)
  expect(positive?.some(Number.isFinite), `${positive}`).toBe(false)
  expect(
    negative?.every((value) => value === 0 || Number.isNaN(value)),
    `${negative}`,
  ).toBe(true)
  expect(
    small?.every((value) => value > 0 && Number.isFinite(value)),
    `${small}`,
  ).toBe(true)
})

onEachDevice('NaN is not rectified to 0', cases, async (device, testCase) => {
  // times the scale: infinity and minus infinity, channel by channel
  const found = await outputsOf(device, testCase, 10, (channel) => (channel % 2 ? -huge : huge))
  for (const values of found) expect(values.every(Number.isNaN), `${values}`).toBe(true)
})

describeOnEach('a local norm', (device) => {
  test('whose sum of squares overflows gives NaN, and not 0', async () => {
    const layers: Layer[] = [
      { kind: 'input', channels: 8, mean: new Array<number>(8).fill(0), scale: new Array<number>(8).fill(1) },
      { kind: 'local-norm', name: 'norm', size: 5, k: 2, alpha: 1e-4, beta: 0.75 },
      { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
    ]
    using network = await Network.create({ layers, ...repeatable(device) })
    const pixels = new Float32Array(8 * 4).fill(1)
    pixels[0] = 1e25 // of channel 0; the windows of channels 0 to 2 hold it
    const found = await network.features(Tensor.from(pixels, [1, 8, 2, 2]), ['norm'])
    const values = (await found.norm?.data()) ?? new Float32Array()
    const finite = Array.from({ length: 8 }, (_, channel) => Number.isFinite(values[channel * 4]))
    expect(finite).toEqual([false, false, false, true, true, true, true, true])
  })
})
