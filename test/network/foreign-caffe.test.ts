import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import { load } from '../../lib/weights/load.js'
import { expectClose } from '../compare.js'
import { goldenImages, readGolden } from '../reference/golden.js'

const taps = ['pool1', 'pool2', 'pool3', 'pool4', 'pool5', 'fc6', 'fc7', 'fc8']

test.each([
  ['caffe-v1', { source: 'caffe', licence: 'CC-BY-4.0' }, [123.68, 116.779, 103.939], 'tench'],
  ['caffe-face', { source: 'vgg-face', licence: 'CC-BY-NC' }, [129.1863, 104.7624, 93.594], undefined],
])('%s computes what OpenCV computes', async (name, origin, meanRgb, firstClass) => {
  const { case: written, tensors } = readGolden(`foreign/${name}`)
  const net = await load(fileURLToPath(new URL(`../golden/foreign/${name}.caffemodel`, import.meta.url)), {
    device: 'cpu',
  })
  onTestFinished(() => net.dispose())
  const { variant, width, classes, imageSize, headWidth } = net.configuration
  expect({ variant: variant.name, width, classes, imageSize, headWidth }).toEqual({
    variant: written.variant,
    width: written.width,
    classes: written.classes,
    imageSize: [written.imageSize, written.imageSize],
    headWidth: written.headWidth,
  })
  expect(net.origin).toMatchObject(origin)
  expect(net.configuration).toMatchObject({ meanRgb, scale: [1, 1, 1] })
  expect(net.classNames[0]).toBe(firstClass)

  const { data, shape } = goldenImages(written)
  const found = await net.features(Tensor.from(data as Uint8Array<ArrayBuffer>, shape), taps)
  for (const tap of taps) {
    const actual = await (found[tap] as Tensor<'float32'>).data()
    expectClose(tap, actual, tensors.get(tap) as Float32Array, { relative: 1e-4 })
  }
})
