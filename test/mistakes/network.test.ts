import { afterAll, beforeAll, expect, test } from 'vitest'
import { arrayDataset, classify, Tensor, train, VGG } from '../../lib/index.js'
import { programMistakes } from './mistake.js'
import { floats, grey, options, rate, untyped } from './small-net.js'

let net: VGG
beforeAll(async () => {
  net = await VGG.create(options)
})
afterAll(() => net.dispose())

programMistakes('networks', [
  {
    name: 'a variant that does not exist',
    make: () => VGG.create({ variant: 'F' as never, classes: 2 }),
    code: 'INVALID_ARGUMENT',
    problem: ['variant', "'F'"],
    cure: ['one of A, VGG11', 'E, VGG19'],
  },
  {
    name: 'no classes',
    make: () => VGG.create({ variant: 'A', classes: 0 }),
    code: 'INVALID_ARGUMENT',
    problem: ['classes', '0 (number)'],
    cure: ['an integer of at least 1'],
  },
  {
    name: 'the name that PyTorch has for an option',
    make: () => VGG.create(untyped({ variant: 'A', num_classes: 2 })),
    code: 'INVALID_ARGUMENT',
    problem: ['VGG.create options', "'num_classes'"],
    cure: ["did you mean 'classes'?"],
  },
  {
    name: 'the features of a tensor before its ReLU',
    make: () => net.step(floats(1, 64, 2, 2), [0], { ...rate, from: 'conv4_2' }),
    code: 'INVALID_ARGUMENT',
    problem: ['for from', "'conv4_2'"],
    cure: ['one of relu1_1, pool1', 'relu4_2, pool4'],
  },
  {
    name: 'training from features below which layers learn',
    make: () => net.step(floats(1, 64, 2, 2), [0], { ...rate, from: 'pool4' }),
    code: 'INVALID_ARGUMENT',
    problem: ["only frozen layers up to 'pool4'", "'conv1_1' learns"],
    cure: ['freeze it first'],
  },
  {
    name: 'the short name of the learning rate',
    make: () => net.step(grey(1), [0], untyped({ lr: 0.01 })),
    code: 'INVALID_ARGUMENT',
    problem: ['step options', "'lr'"],
    cure: ["did you mean 'learningRate'?"],
  },
  {
    name: 'a number as text',
    make: () => VGG.create({ ...options, classes: untyped('10') }),
    code: 'INVALID_ARGUMENT',
    problem: ['classes', "'10' (string)"],
    cure: ['write the number 10 without quotes'],
  },
  ...[0, -0.01, Number.NaN].map((learningRate) => ({
    name: `a learning rate of ${learningRate}`,
    make: () => net.step(grey(1), [0], { learningRate }),
    code: 'INVALID_ARGUMENT' as const,
    problem: ['learningRate', `${learningRate} (number)`],
    cure: ['a number above 0'],
  })),
])

programMistakes('shapes', [
  {
    name: 'float32 images with channels last',
    make: () => net.forward(floats(2, 32, 32, 3)),
    code: 'SHAPE_MISMATCH',
    problem: ['[n, 3, height, width] for images', 'received shape [2, 32, 32, 3]', 'channels last'],
    cure: ['Tensor.from(Uint8Array.from(await x.data()), [2, 32, 32, 3])'],
  },
  {
    name: 'float32 images with channels last to classify',
    make: () => classify(net, floats(1, 32, 32, 3)),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [1, 32, 32, 3]', 'channels last'],
    cure: ['Tensor.from(Uint8Array.from(await x.data()), [1, 32, 32, 3])'],
  },
  {
    name: 'float32 images from 0 to 1 with channels last',
    make: () => net.forward(Tensor.from(new Float32Array(3072).fill(0.5), [1, 32, 32, 3])),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [1, 32, 32, 3]', 'channels last'],
    cure: ['Tensor.from(Uint8Array.from(await x.data(), (value) => 255 * value), [1, 32, 32, 3])'],
  },
  {
    name: 'float32 images around 0 with channels last',
    make: () => net.forward(Tensor.randn([1, 32, 32, 3], { seed: 1 })),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [1, 32, 32, 3]'],
    cure: ['move the channels first: [1, 3, 32, 32]'],
  },
  {
    name: 'uint8 images with channels first',
    make: () => net.forward(Tensor.zeros([2, 3, 32, 32], { dtype: 'uint8' })),
    code: 'SHAPE_MISMATCH',
    problem: ['[n, height, width, 3] for images', 'received shape [2, 3, 32, 32]', 'channels first'],
    cure: ['Tensor.from(Float32Array.from(await x.data()), [2, 3, 32, 32])'],
  },
  {
    name: 'an image without a batch axis',
    make: () => net.forward(floats(3, 32, 32)),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [3, 32, 32]', 'the batch axis is missing'],
    cure: ['Tensor.from(await x.data(), [1, 3, 32, 32])'],
  },
  {
    name: 'a grey image for a network of colours',
    make: () => net.forward(Tensor.zeros([1, 32, 32, 1], { dtype: 'uint8' })),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [1, 32, 32, 1]'],
    cure: ['channels: 1', 'convert the images to 3 channels'],
  },
  {
    name: 'an image with transparency',
    make: () => net.forward(Tensor.zeros([1, 32, 32, 4], { dtype: 'uint8' })),
    code: 'SHAPE_MISMATCH',
    problem: ['received shape [1, 32, 32, 4]', 'transparency'],
    cure: ['leave out the fourth channel'],
  },
  {
    name: 'images smaller than the network takes',
    make: () => net.forward(Tensor.zeros([1, 16, 16, 3], { dtype: 'uint8' })),
    code: 'SHAPE_MISMATCH',
    problem: ['images of 16x16 are too small'],
    cure: ['at least 2x2 pixels for layer'],
  },
  {
    name: 'pixels that are no tensor',
    make: () => net.forward(untyped(new Uint8Array(3072))),
    code: 'INVALID_ARGUMENT',
    problem: ['a Tensor for images', 'Uint8Array(3072)'],
    cure: ['Tensor.from(x, [n, height, width, 3])'],
  },
  {
    name: 'the path of an image',
    make: () => net.forward(untyped('cat.jpg')),
    code: 'INVALID_ARGUMENT',
    problem: ['a Tensor for images', "'cat.jpg' (string)"],
    cure: ['classify(net, path)'],
  },
  {
    name: 'a tensor of another element type',
    make: () => net.forward(Tensor.zeros([1, 32, 32, 3], { dtype: 'int32' })),
    code: 'INVALID_ARGUMENT',
    problem: ['images', 'an int32 tensor of shape [1, 32, 32, 3]'],
    cure: ['Tensor.from(Uint8Array.from(await x.data()), [1, 32, 32, 3])'],
  },
  {
    name: 'the weights of another network',
    make: async () => {
      const other = await VGG.create({ ...options, headWidth: 64 })
      return net.initialiseFrom(other, { layers: ['fc7'] }).finally(() => other.dispose())
    },
    code: 'SHAPE_MISMATCH',
    problem: ['fc7', '[32, 32]', '[64, 64]'],
    cure: ["use layers: 'all', which copies those that fit"],
  },
])

programMistakes('values', [
  {
    name: 'a name instead of an array of names',
    make: () => net.features(grey(1), untyped('fc7')),
    code: 'INVALID_ARGUMENT',
    problem: ['an array for names', "'fc7' (string)"],
    cure: ["write ['fc7']"],
  },
  {
    name: 'an array that is not typed',
    make: () => Tensor.from(untyped([1, 2, 3])),
    code: 'INVALID_ARGUMENT',
    problem: ['data', '[1, 2, 3] (array)'],
    cure: ['Uint8Array.from(data) for pixels'],
  },
  {
    name: 'labels of one-hot rows',
    make: () => net.step(grey(2), untyped(Tensor.zeros([2, 2], { dtype: 'uint8' })), rate),
    code: 'SHAPE_MISMATCH',
    problem: ['labels', 'received shape [2, 2]'],
    cure: ['await labels.argmax()'],
  },
  {
    name: 'a training step on images of another size',
    make: () => net.step(Tensor.zeros([1, 64, 64, 3], { dtype: 'uint8' }), [0], rate),
    code: 'SHAPE_MISMATCH',
    problem: ['[1, 2, 2, 2]', 'for images of 64x64'],
    cure: ['give images of the size that the network was created for'],
  },
  {
    name: 'NaN in an image',
    make: async () => {
      const images = floats(2, 3, 32, 32)
      ;(await images.data())[3072 + 1024 + 5 * 32 + 7] = Number.NaN
      return net.step(images, [0, 1], rate)
    },
    code: 'NOT_FINITE',
    problem: ['row 5, column 7', 'channel 1', 'image 1', 'nan'],
    cure: ['pixels are from 0 to 255'],
  },
  {
    name: 'labels that are counted from 1',
    make: () => net.step(grey(2), [1, 2], rate),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[1]', '2 (number)'],
    cure: ['a class from 0 to 1', 'subtract 1'],
  },
  {
    name: 'labels as rows of 0 and 1',
    make: () => net.step(grey(1), untyped([[0, 1]]), rate),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[0]', '[0, 1] (array)'],
    cure: ['the index of the 1'],
  },
  {
    name: 'labels as names',
    make: () => net.step(grey(1), untyped(['cat']), rate),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[0]', "'cat'"],
    cure: ['the index of its name in classNames'],
  },
  {
    name: 'labels as floating-point numbers',
    make: () => net.step(grey(2), untyped(Tensor.zeros([2])), rate),
    code: 'INVALID_ARGUMENT',
    problem: ['labels', 'a float32 tensor of shape [2]'],
    cure: ['Tensor.from(Int32Array.from(await x.data()), [2])'],
  },
])

const AsyncFunction = (async () => undefined).constructor as new (
  ...parts: string[]
) => (...given: unknown[]) => unknown

test.each([
  ['float32 with channels last', floats(2, 32, 32, 3)],
  ['float32 from 0 to 1 with channels last', Tensor.from(new Float32Array(3072).fill(0.5), [1, 32, 32, 3])],
  ['uint8 with channels first', Tensor.zeros([2, 3, 32, 32], { dtype: 'uint8' })],
  ['float32 without batch axis', floats(3, 32, 32)],
  ['uint8 without batch axis', Tensor.zeros([32, 32, 3], { dtype: 'uint8' })],
  ['int32', Tensor.zeros([1, 32, 32, 3], { dtype: 'int32' })],
])('what the error of images in %s says works when it is typed', async (_, images) => {
  const { message } = await net.forward(images).catch((error) => error)
  const [, typed = 'nothing'] = /use (Tensor\.from\(.*\))$/.exec(message) ?? []
  const converted = await new AsyncFunction('Tensor', 'x', `return ${typed}`)(Tensor, images)
  expect((await net.forward(converted as Tensor)).shape.at(-1)).toBe(2)
})

test('pixels from 0 to 1 are reported once for each network, by forward, step and train', async () => {
  const warnings: NodeJS.ErrnoException[] = []
  const collect = (warning: Error) => warnings.push(warning)
  process.on('warning', collect)
  const unit = Tensor.from(
    new Float32Array(3072).map((_, i) => (i % 100) / 100),
    [1, 3, 32, 32],
  )
  const masks = new Uint8Array(2 * 3072).map((_, i) => i % 2)
  const ofMasks = arrayDataset({ images: masks, shape: [2, 32, 32, 3], labels: [0, 1] })
  const calls: ((to: VGG) => Promise<unknown>)[] = [
    (to) => to.forward(unit),
    (to) => to.step(unit, [0], rate),
    (to) => train(to, ofMasks, { epochs: 1, batch: 1, ...rate }),
  ]
  for (const call of calls) {
    const fresh = await VGG.create(options)
    await fresh.forward(Tensor.zeros([1, 3, 32, 32]))
    await call(fresh)
    await call(fresh)
    fresh.dispose()
  }
  const forUnit = await VGG.create({ ...options, meanRgb: 0.5, scale: 2 })
  await forUnit.forward(unit)
  forUnit.dispose()
  await net.forward(floats(1, 3, 32, 32))
  await new Promise(setImmediate)
  process.off('warning', collect)
  expect(warnings.map(({ code }) => code)).toEqual(calls.map(() => 'VGGNET_PIXEL_SCALE'))
  expect(warnings[0]?.message).toMatch(/from 0 to 1.*multiply the pixels by 255, or .* meanRgb and scale/)
})
