import { describe, expect, onTestFinished, test } from 'vitest'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { fillNormal, Random } from '../../lib/random.js'
import { Tensor } from '../../lib/tensor.js'
import { train } from '../../lib/train/trainer.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { momentsOf } from '../../lib/weights/verify/moments.js'
import { otherFlattening, reversedChannels, untrained, wrongPixels } from '../../lib/weights/verify/suspicions.js'
import { exchanged, trainedFirst } from '../setup/trained-first.js'

describe('the first convolution of a trained VGG-16', () => {
  const trained = trainedFirst()
  const swapped = { weight: exchanged(trained.weight), bias: trained.bias }

  test('is suspected of taking blue, green, red only if red and blue are exchanged', () => {
    expect(reversedChannels(trained)).toBeUndefined()
    expect(reversedChannels(swapped)).toMatch(/blue, green, red: its 36 kernels for edges weigh red 0\.8\d times/)
  })

  test('is suspected of nothing if it is random, or made for grey images', () => {
    const random = { weight: new Float32Array(1728), bias: new Float32Array(64) }
    fillNormal(random.weight, 1, 0, 1)
    expect(reversedChannels(random)).toBeUndefined()
    const grey = trained.weight.map((_, index) => trained.weight[Math.floor(index / 27) * 27 + (index % 9)] ?? 0)
    expect(reversedChannels({ weight: grey, bias: trained.bias })).toBeUndefined()
  })

  const caffe = [123.68, 116.779, 103.939]
  test.each([
    ['its own mean', caffe, 1],
    ['a mean that is nearly the same', [127.5, 127.5, 127.5], 1],
    ['the mean of blue, green, red', [...caffe].reverse(), 1],
  ])('is not suspected of other pixels with %s', (_, meanRgb, scale) => {
    expect(wrongPixels(trained, { meanRgb, scale: [scale, scale, scale] })).toBeUndefined()
  })

  test.each([
    ['no mean', [0, 0, 0], 1, /the mean .* flat grey image 2\.1 times/],
    ['twice the mean', caffe.map((mean) => 2 * mean), 1, /the mean .* flat grey image 2\.2 times/],
    ["torchvision's pixels", [123.675, 116.28, 103.53], 1 / 57.5, /the scale .* too small: .* 0\.9 times/],
    ['pixels from -1 to 1', [127.5, 127.5, 127.5], 1 / 127.5, /the scale .* too small/],
    ['pixels from 0 to 1', [0, 0, 0], 1 / 255, /the scale .* too small/],
  ])('is suspected of other pixels with %s', (_, meanRgb, scale, suspicion) => {
    expect(wrongPixels(trained, { meanRgb, scale: [scale, scale, scale] })).toMatch(suspicion)
  })
})

/** Stripes of three directions, 64x64: fc6 sees a map of 2x2. */
function wideStripes(count: number) {
  const random = new Random(1)
  const labels = Int32Array.from({ length: count }, () => random.integer(3))
  const images = new Uint8Array(count * 4096)
  for (let at = 0; at < images.length; at++) {
    const image = Math.floor(at / 4096)
    const [row, column] = [(at >> 6) % 64, at % 64]
    const along = [row, column, row + column][labels[image] ?? 0] ?? 0
    images[at] = 128 + 80 * Math.sin(0.6 * along + image) + random.uniform(-30, 30)
  }
  return arrayDataset({ images, shape: [count, 64, 64, 1], labels })
}

test('fc6 of a trained net is suspected of another order of columns only if it has one', async () => {
  const [outputs, channels, size, window] = [64, 64, 4, [2, 2] as const]
  const small = {
    channels: 1,
    imageSize: 64,
    width: 0.125,
    headWidth: outputs,
    initialisation: 'he',
    dropout: 0,
  } as const
  const net = await VGG.create({ variant: 'A', classes: 3, ...small, seed: 1, device: 'cpu' })
  onTestFinished(() => net.dispose())
  const random = await net.parameter('fc6.weight')
  expect(otherFlattening({ weight: await random.data(), outputs, window })).toBeUndefined()
  // smaller than what is learnt in a few steps
  await net.setParameter(
    'fc6.weight',
    Tensor.from(
      (await random.data()).map((value) => value / 10),
      random.shape,
    ),
  )
  await train(net, wideStripes(64), { epochs: 3, batch: 8, learningRate: 0.01 })
  const weight = await (await net.parameter('fc6.weight')).data()

  const moved = (to: (channel: number, at: number) => number): Float32Array => {
    const made = new Float32Array(weight.length)
    for (let index = 0; index < weight.length; index++) {
      const [output, column] = [Math.floor(index / (channels * size)), index % (channels * size)]
      made[output * channels * size + to(Math.floor(column / size), column % size)] = weight[index] ?? 0
    }
    return made
  }
  const own = (channel: number, at: number) => channel * size + at
  expect(otherFlattening({ weight: moved(own), outputs, window })).toBeUndefined()
  const keras = moved((channel, at) => at * channels + channel)
  expect(otherFlattening({ weight: keras, outputs, window })).toMatch(/the order rows, columns, channels \(Keras\)/)
  const torch = moved((channel, at) => (own(channel, at) % channels) * size + Math.floor(own(channel, at) / channels))
  expect(otherFlattening({ weight: torch, outputs, window })).toMatch(/the order channels, rows, columns \(PyTorch/)
})

test('weights are suspected to be random initial ones if they are normal or uniform and have no biases', () => {
  const normal = new Float32Array(5000)
  fillNormal(normal, 1, 0, 0.1)
  const random = new Random(1)
  const uniform = normal.map(() => random.uniform(-1, 1))
  // as in trained nets: most near 0, and a few large
  const trained = normal.map((value) => value ** 3)
  const suspicion = (weights: Float32Array[], bias: number) =>
    untrained(
      weights.flatMap((weight, index) => [
        { name: `conv${index}.weight`, ...momentsOf(weight) },
        { name: `conv${index}.bias`, ...momentsOf(Float32Array.of(bias, bias)) },
      ]),
    )
  expect(suspicion([normal, uniform], 0)).toMatch(/random initial/)
  expect(suspicion([normal, uniform], 0.1)).toBeUndefined()
  expect(suspicion([normal, trained], 0)).toBeUndefined()
  expect(suspicion([normal.subarray(0, 100)], 0)).toBeUndefined()
})
