import { expect, test } from 'vitest'
import { tensorsBetween } from '../../lib/layer.js'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, repeatable } from '../devices.js'
import { netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'
import { parametersOfNet } from './small.js'

const openOn = netsOpened()

const images = async (count: number, seed = 1): Promise<{ images: Tensor<'uint8'>; labels: Int32Array }> => {
  const data = stripes(count, seed)
  const pixels = new Uint8Array(count * 1024)
  await data.read(
    Int32Array.from({ length: count }, (_, index) => index),
    pixels,
  )
  return { images: Tensor.from(pixels, [count, 32, 32, 1]), labels: data.labels }
}

const values = async (net: VGG, name: string, of: Tensor, flip?: Uint8Array): Promise<Tensor<'float32'>> => {
  const kept = await net.features(of, [name as never], { ...(flip && { augment: { flip } }) })
  return kept[name as never]
}

describeOnEach('a network computed from a tensor inside it', (device) => {
  const open = openOn(device)
  const update = { learningRate: 0.02, momentum: 0.9, weightDecay: 5e-4 }

  test('gives the bits that it gives from the images, from every tensor', async () => {
    const net = await open({ variant: 'A-LRN' })
    const { images: batch } = await images(3)
    const logits = await (await net.forward(batch)).data()
    const names = [...tensorsBetween(net.layers).keys()]
    expect(names.slice(0, 4)).toEqual(['relu1_1', 'norm1', 'pool1', 'relu2_1'])
    expect(names.at(-1)).toBe('relu7')
    for (const name of names) {
      const from = await values(net, name, batch)
      expect(await (await net.forward(from, { from: name })).data(), name).toEqual(logits)
    }
  })

  test('takes any number of channels, also that of images', async () => {
    const convolution = (name: string, outputs: number) => ({ kind: 'convolution', name, outputs, kernel: 3 }) as const
    const layers = [
      { kind: 'input', channels: 1, mean: [128], scale: [1 / 64] },
      convolution('rgb', 3),
      convolution('next', 9),
      { kind: 'spatial-mean', name: 'mean' },
    ] as const
    using net = await Network.create({ layers, ...repeatable(device) })
    const { images: batch } = await images(2)
    const { rgb, next } = await net.features(batch, ['rgb', 'next'])
    for (const [from, given] of Object.entries({ rgb, next }))
      expect(await (await net.forward(given as Tensor, { from })).data()).toEqual(
        await (await net.forward(batch)).data(),
      )
  })

  test.each([
    ['pool4', ['conv1', 'conv2', 'conv3', 'conv4'], undefined],
    ['pool5', ['convolutions'], 4],
    ['relu6', ['convolutions', 'fc6'], undefined],
  ] as const)('trains from %s to the bits of a training on images', async (from, frozen, microBatch) => {
    const [whole, part] = [await open(), await open()]
    for (const net of [whole, part]) net.freeze(frozen as never)
    for (let step = 0; step < 3; step++) {
      const { images: batch, labels } = await images(8, step)
      const flip = Uint8Array.from(labels, (label) => label % 2)
      const given = await values(part, from, batch, flip)
      const answer = await part.step(given, labels, { ...update, microBatch, from })
      expect(answer).toEqual(await whole.step(batch, labels, { ...update, microBatch, augment: { flip } }))
    }
    expect(await parametersOfNet(part)).toEqual(await parametersOfNet(whole))
  })

  test('gives gradients of the tensor and of the layers after it', async () => {
    const net = await open()
    net.freeze(['conv1', 'conv2', 'conv3', 'conv4'])
    const { images: batch, labels } = await images(2)
    const pool4 = await values(net, 'pool4', batch)
    const training = { training: true, firstImage: 0 } as const
    await net.forward(batch, { ...training, keep: ['pool4'] })
    const { loss } = await net.backward(labels)
    const gradient = await (await net.gradient('conv5_1.weight')).data()
    await net.forward(pool4, { ...training, from: 'pool4', inputGradient: true })
    const { inputGradient, ...answer } = await net.backward(labels)
    expect(answer).toEqual({ loss })
    expect(await (await net.gradient('conv5_1.weight')).data()).toEqual(gradient)
    expect(inputGradient?.shape).toEqual(pool4.shape)
    expect((await inputGradient?.data())?.some((value) => value !== 0)).toBe(true)
    await expect(net.gradient('conv4_1.weight')).rejects.toMatchObject({ code: 'STATE' })
  })

  test('refuses what does not fit, and stays usable', async () => {
    const net = await open()
    const { images: batch, labels } = await images(2)
    const pool4 = await values(net, 'pool4', batch)
    const refused = async (call: Promise<unknown>, code: string, message: string): Promise<void> => {
      await expect(call).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
    }
    const step = (of: Tensor, from: string) => net.step(of, labels, { ...update, from })
    const learns = "Expected only frozen layers up to 'pool4' to train from it, but 'conv1_1' learns: freeze it first"
    await refused(step(pool4, 'pool4'), 'INVALID_ARGUMENT', learns)
    net.freeze(['conv1', 'conv2', 'conv3'])
    await refused(step(pool4, 'pool4'), 'INVALID_ARGUMENT', "but 'conv4_1' learns")
    await refused(net.forward(pool4, { from: 'pool4', training: true }), 'INVALID_ARGUMENT', "'conv4_1' learns")
    net.freeze(['conv4'])
    await refused(step(pool4, 'pool6'), 'INVALID_ARGUMENT', "for from but received 'pool6'; did you mean 'pool")
    await refused(step(pool4, 'conv4_2'), 'INVALID_ARGUMENT', "for from but received 'conv4_2'")
    await refused(step(pool4, 'fc8'), 'INVALID_ARGUMENT', "relu7 for from but received 'fc8'")
    await refused(step(pool4, 'pool3'), 'SHAPE_MISMATCH', "Expected shape [n, 32, h, w] for the values of 'pool3'")
    await refused(step(batch, 'pool4'), 'INVALID_ARGUMENT', "Expected a float32 tensor for the values of 'pool4'")
    const small = Tensor.zeros([2, 64, 1, 1])
    await refused(step(small, 'pool4'), 'SHAPE_MISMATCH', "values of 'pool4' of 1x1 are too small for this network")
    const large = Tensor.zeros([2, 64, 4, 4])
    await refused(step(large, 'pool4'), 'SHAPE_MISMATCH', 'Expected one score for each class')
    const augment = { flip: new Uint8Array(2) }
    await refused(net.forward(pool4, { from: 'pool4', augment }), 'INVALID_ARGUMENT', 'no augmentation of a tensor')
    await refused(
      net.features(pool4, ['pool3'], { from: 'pool4' }),
      'INVALID_ARGUMENT',
      "Expected tensors from 'pool4' on for keep but received 'pool3'",
    )
    const data = await pool4.data()
    const broken = Tensor.from(
      data.map((value, index) => (index === 5 ? Number.NaN : value)),
      [2, 64, 2, 2],
    )
    const message = "Expected finite values for 'pool4' but the value at row 0, column 1 in channel 1 of image 0"
    await refused(step(broken, 'pool4'), 'NOT_FINITE', message)
    expect(await step(pool4, 'pool4')).toMatchObject({ correct5: 2 })
  })
})
