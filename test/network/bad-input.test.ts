import { expect, it } from 'vitest'
import { Tensor, VGG } from '../../lib/index.js'
import { describe } from '../../lib/network/describe.js'
import { describeOnEach, repeatable } from '../devices.js'
import { parametersOfNet, smallBatch, smallNetOn, smallOptions } from './small.js'

const withCode = (code: string) => expect.objectContaining({ name: 'VggError', code })

const detached = () => {
  const data = new Float32Array(2 * 8 * 12)
  const tensor = Tensor.from(data, [1, 2, 8, 12])
  structuredClone(data.buffer, { transfer: [data.buffer] })
  return tensor
}

const disposed = () => {
  const tensor = Tensor.zeros([1, 2, 8, 12])
  tensor.dispose()
  return tensor
}

const { images, labels } = smallBatch(4)
const rate = { learningRate: 0.01 }

const badCalls: [string, (net: VGG) => Promise<unknown>, string, RegExp][] = [
  ['images that are no tensor', (net) => net.forward([1] as never), 'INVALID_ARGUMENT', /a Tensor for images/],
  [
    'images of no network',
    (net) => net.forward(Tensor.zeros([1, 3, 8, 12])),
    'SHAPE_MISMATCH',
    /\[n, 2, height, width\]/,
  ],
  [
    'uint8 images in the wrong order',
    (net) => net.forward(Tensor.zeros([1, 2, 8, 12], { dtype: 'uint8' })),
    'SHAPE_MISMATCH',
    /\[n, height, width, 2\]/,
  ],
  [
    'int32 images',
    (net) => net.forward(Tensor.zeros([1, 2, 8, 12], { dtype: 'int32' })),
    'INVALID_ARGUMENT',
    /float32 or uint8/,
  ],
  [
    'one image without a batch',
    (net) => net.forward(Tensor.zeros([2, 8, 12])),
    'SHAPE_MISMATCH',
    /received shape \[2, 8, 12\]/,
  ],
  ['images that are too small', (net) => net.forward(Tensor.zeros([1, 2, 7, 12])), 'SHAPE_MISMATCH', /./],
  ['a batch of 0', (net) => net.forward(Tensor.zeros([0, 2, 8, 12])), 'INVALID_ARGUMENT', /at least one image/],
  ['a detached buffer', (net) => net.forward(detached()), 'INVALID_ARGUMENT', /detached/],
  ['a disposed tensor', (net) => net.forward(disposed()), 'DISPOSED', /tensor of shape \[1, 2, 8, 12\] was disposed/],
  [
    'an unknown option',
    (net) => net.forward(images, { trainig: true } as never),
    'INVALID_ARGUMENT',
    /did you mean 'training'\?/,
  ],
  [
    'an unknown tensor',
    (net) => net.features(images, ['conv2_3']),
    'INVALID_ARGUMENT',
    /received 'conv2_3'; did you mean 'conv2_/,
  ],
  [
    'a label too large',
    (net) => net.step(images, [0, 1, 5, 2], rate),
    'INVALID_ARGUMENT',
    /a class from 0 to 4 for labels\[2\] but received 5 \(number\)/,
  ],
  [
    'a label below 0',
    (net) => net.step(images, Int32Array.of(0, -1, 0, 0), rate),
    'INVALID_ARGUMENT',
    /labels\[1\] but received -1/,
  ],
  [
    'a label that is no integer',
    (net) => net.step(images, [0, 1, 0.5, 2], rate),
    'INVALID_ARGUMENT',
    /labels\[2\] but received 0.5/,
  ],
  [
    'labels that are text',
    (net) => net.step(images, 'abcd' as never, rate),
    'INVALID_ARGUMENT',
    /for labels but received 'abcd'/,
  ],
  [
    'float labels',
    (net) => net.step(images, Tensor.zeros([4]) as never, rate),
    'INVALID_ARGUMENT',
    /int32 or uint8 tensor for labels/,
  ],
  [
    'too few labels',
    (net) => net.step(images, [0], rate),
    'SHAPE_MISMATCH',
    /Expected 4 labels, one for each image, but received 1/,
  ],
  [
    'no learning rate',
    (net) => net.step(images, labels, {} as never),
    'INVALID_ARGUMENT',
    /for learningRate but received undefined/,
  ],
  [
    'a learning rate below 0',
    (net) => net.update({ learningRate: -1 }),
    'INVALID_ARGUMENT',
    /a number above 0 for learningRate but received -1/,
  ],
  ['a momentum of 1', (net) => net.update({ ...rate, momentum: 1 }), 'INVALID_ARGUMENT', /for momentum/],
  [
    'a rate for no layer',
    (net) => net.update({ ...rate, rateFactors: { fc9: 1 } }),
    'INVALID_ARGUMENT',
    /received 'fc9'; did you mean 'fc/,
  ],
  [
    'a micro-batch of 0',
    (net) => net.step(images, labels, { ...rate, microBatch: 0 }),
    'INVALID_ARGUMENT',
    /for microBatch/,
  ],
  [
    'flips of another length',
    (net) => net.forward(images, { augment: { flip: new Uint8Array(3) } }),
    'SHAPE_MISMATCH',
    /Expected 4 elements for augment.flip/,
  ],
  [
    'a flip of 2',
    (net) => net.forward(images, { augment: { flip: Uint8Array.of(0, 2, 0, 0) } }),
    'INVALID_ARGUMENT',
    /augment.flip\[1\] but received 2/,
  ],
  [
    'shifts of another type',
    (net) => net.forward(images, { augment: { shift: [1] as never } }),
    'INVALID_ARGUMENT',
    /a Float32Array for augment.shift/,
  ],
  [
    'an unknown parameter',
    (net) => net.parameter('conv1_1.weigth'),
    'INVALID_ARGUMENT',
    /did you mean 'conv1_1.weight'\?/,
  ],
  [
    'a parameter of another shape',
    (net) => net.setParameter('fc8.bias', Tensor.zeros([6])),
    'SHAPE_MISMATCH',
    /Expected shape \[5\] for fc8.bias but received shape \[6\]/,
  ],
  [
    'a gradient of another shape',
    async (net) => {
      await net.forward(images, { training: true })
      await net.backward({ gradient: Tensor.zeros([3, 5]) })
    },
    'SHAPE_MISMATCH',
    /./,
  ],
  [
    'a gradient that is no tensor',
    (net) => net.backward({ gradient: [1] as never }),
    'INVALID_ARGUMENT',
    /a float32 tensor for gradient/,
  ],
  ['no labels', (net) => net.backward([]), 'INVALID_ARGUMENT', /at least one label/],
  ['a training step below 0', (net) => net.setTrainingStep(-1), 'INVALID_ARGUMENT', /for step/],
]

describeOnEach('bad input', (device) => {
  const smallNet = smallNetOn(device)

  it.each(badCalls)('%s is refused, and the network stays usable', async (_, call, code, message) => {
    const net = await smallNet()
    const before = await parametersOfNet(net)
    await expect(call(net)).rejects.toThrow(withCode(code))
    await expect(call(net)).rejects.toThrow(message)
    expect(await parametersOfNet(net)).toEqual(before)
    expect((await net.step(images, labels, rate)).loss).toBeGreaterThan(0)
    net.dispose()
  })

  it.each<[string, object, string, RegExp]>([
    [
      'a device that is none',
      { device: 'gpu' },
      'INVALID_ARGUMENT',
      /one of auto, cpu, cuda, cuda:0 for device but received 'gpu'/,
    ],
    [
      'a misspelt option',
      { sed: 1 },
      'INVALID_ARGUMENT',
      /for VGG.create options but received 'sed'; did you mean 'seed'\?/,
    ],
    ['a seed that is none', { seed: 0.5 }, 'INVALID_ARGUMENT', /for seed/],
    ['a precision that is none', { precision: 'fp16' }, 'INVALID_ARGUMENT', /one of bf16, tf32, float32 for precision/],
    [
      'a precision that the cpu has not',
      { device: 'cpu', precision: 'bf16' },
      'INVALID_ARGUMENT',
      /'float32' for precision on the cpu but received 'bf16'/,
    ],
    ['a determinism that is none', { deterministic: 1 }, 'INVALID_ARGUMENT', /true or false for deterministic/],
    ['0 threads', { threads: 0 }, 'INVALID_ARGUMENT', /for threads/],
    ['a limit of memory that is too low', { memoryLimit: 100 }, 'OUT_OF_MEMORY', /bytes/],
    ['a network larger than any memory', { headWidth: 2 ** 20, classes: 2 ** 20 }, 'OUT_OF_MEMORY', /bytes/],
  ])('create refuses %s', async (_, options, code, message) => {
    const made = VGG.create({ ...smallOptions, ...repeatable(device), ...options })
    await expect(made).rejects.toThrow(withCode(code))
    await expect(made).rejects.toThrow(message)
  })

  it('a batch beyond the memory limit is refused, naming the largest batch that fits', async () => {
    const small = await smallNet()
    const shape = [60, 2, 8, 12]
    const { totalBytes } = describe({ layers: small.layers, shape, training: true, ...repeatable(device) })
    small.dispose()
    const net = await smallNet({ memoryLimit: totalBytes })
    const many = smallBatch(200)
    await expect(net.step(many.images, many.labels, rate)).rejects.toThrow(withCode('OUT_OF_MEMORY'))
    const { message } = await net.step(many.images, many.labels, rate).catch((error) => error)
    const [, largest] = /largest batch .*?(\d+)/.exec(message) ?? []
    expect(Number(largest), message).toBeGreaterThan(0)
    const fits = smallBatch(Number(largest))
    expect((await net.step(fits.images, fits.labels, rate)).loss).toBeGreaterThan(0)
    net.dispose()
  })

  it('NaN in the images makes a step fail with its name, and changes nothing', async () => {
    const net = await smallNet()
    const before = await parametersOfNet(net)
    const bad = Tensor.from((await smallBatch(4).images.data()).fill(Number.NaN, 329, 330), [4, 2, 8, 12])
    const pixel = /the pixel at row 3, column 5 in channel 1 of image 1 \(all counted from 0\) is nan/
    await expect(net.step(bad, labels, rate)).rejects.toThrow(withCode('NOT_FINITE'))
    await expect(net.step(bad, labels, rate)).rejects.toThrow(pixel)
    await expect(net.forward(bad)).rejects.toThrow(pixel)
    const shift = new Float32Array(8).fill(Number.NaN, 5, 6)
    await expect(net.forward(images, { augment: { shift } })).rejects.toThrow(/that of image 2, channel 1 is nan/)
    expect(await parametersOfNet(net)).toEqual(before)
    expect((await net.step(images, labels, rate)).loss).toBeGreaterThan(0)
    net.dispose()
  })

  it('weights so large that later activations are not finite make a step fail, which changes nothing', async () => {
    const net = await smallNet()
    const { name, shape } = net.parameters.find((parameter) => parameter.name === 'conv1_1.weight') ?? net.parameters[0]
    const count = shape.reduce((product, size) => product * size, 1)
    await net.setParameter(name, Tensor.from(new Float32Array(count).fill(3e38), shape))
    const before = await parametersOfNet(net)
    const { code, message } = await net.step(images, labels, rate).catch((error) => error)
    expect(code).toBe('NOT_FINITE')
    expect(message).toMatch(/the first: the output of layer 'conv/)
    expect(await parametersOfNet(net)).toEqual(before)
    net.dispose()
  })

  it('an update that would make weights infinite is refused, and changes nothing', async () => {
    const net = await smallNet()
    const before = await parametersOfNet(net)
    await net.step(images, labels, { ...rate, learningRate: 1e-30 })
    const after = await parametersOfNet(net)
    const far = net.step(images, labels, { ...rate, learningRate: 3e38, weightDecay: 1e6 })
    await expect(far).rejects.toThrow(/a weight after the update/)
    expect(await parametersOfNet(net)).toEqual(after)
    expect(before.length).toBe(after.length)
    net.dispose()
  })

  it('NaN is refused as a parameter', async () => {
    const net = await smallNet()
    const nan = Tensor.from(new Float32Array(5).fill(Number.NaN), [5])
    await expect(net.setParameter('fc8.bias', nan)).rejects.toThrow(/finite values for the parameter 'fc8.bias'/)
    net.dispose()
  })

  it('backward without a forward pass in training is refused', async () => {
    const net = await smallNet()
    await expect(net.backward(labels)).rejects.toThrow(withCode('STATE'))
    await net.forward(images)
    await expect(net.backward(labels)).rejects.toThrow(withCode('STATE'))
    await net.forward(images, { training: true })
    expect((await net.backward(labels)).loss).toBeGreaterThan(0)
    net.dispose()
  })
})
