import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openCaffe } from '../../lib/weights/containers/caffe.js'
import type { ForeignLayer } from '../../lib/weights/containers/weight-file.js'
import { caffe } from '../../lib/weights/sources/caffe.js'
import { vggFace } from '../../lib/weights/sources/vgg-face.js'

async function layersOf(name: string): Promise<readonly ForeignLayer[]> {
  const file = await openCaffe(fileURLToPath(new URL(`../golden/foreign/${name}.caffemodel`, import.meta.url)))
  await file.close()
  return file.layers
}

test.each(['caffe-v1', 'caffe-face'])('the layers of %s are those of a VGG net', async (name) => {
  expect(caffe.refusal?.({ tensors: [], metadata: {}, layers: await layersOf(name) }, undefined)).toBeUndefined()
  expect(vggFace.refusal?.({ tensors: [], metadata: {}, layers: await layersOf(name) }, undefined)).toBeUndefined()
})

test('a network whose parameters only look like those of a VGG net is refused by the name of its layer', async () => {
  const layers = await layersOf('caffe-v1')
  const refusalOf = (name: string, { kind, options }: Partial<ForeignLayer>, head?: 'none') => {
    const changed = layers.map((layer) =>
      layer.name === name ? { name, kind: kind ?? layer.kind, options: { ...layer.options, ...options } } : layer,
    )
    return caffe.refusal?.({ tensors: [], metadata: {}, layers: changed }, head)
  }
  expect(refusalOf('conv1_1', { options: { pad: 100 } })).toBe(
    'its layer conv1_1 has pad 100, and that of a VGG net has 1',
  )
  expect(refusalOf('conv5_1', { options: { dilation: 2 } })).toMatch(/conv5_1 has dilation 2/)
  expect(refusalOf('conv2_1', { options: { stride: '2x1' } })).toMatch(/conv2_1 has stride 2x1/)
  expect(refusalOf('conv2_1', { options: { group: 2 } })).toMatch(/conv2_1 has group 2/)
  expect(refusalOf('pool4', { options: { stride: 1 } })).toMatch(/pool4 has stride 1, .* has 2/)
  expect(refusalOf('pool4', { options: { pool: 'AVE' } })).toMatch(/pool4 has pool AVE, .* has MAX/)
  expect(refusalOf('fc6', { options: { transpose: true } })).toMatch(/fc6 has transpose true/)
  expect(refusalOf('relu3_1', { kind: 'TanH' })).toMatch(/relu3_1 is of the kind TanH/)

  // fc6 and fc7 as convolutions over the last feature map
  const convolution = { kernel_size: 7, stride: 1, pad: 0, dilation: 1, group: 1 }
  expect(refusalOf('fc6', { kind: 'Convolution', options: convolution })).toBeUndefined()
  const reduced = { ...convolution, kernel_size: 3, pad: 12, dilation: 12 }
  expect(refusalOf('fc6', { kind: 'Convolution', options: reduced })).toMatch(/fc6 has dilation 12/)
  expect(refusalOf('fc6', { kind: 'Convolution', options: reduced }, 'none')).toBeUndefined()
  expect(refusalOf('conv5_1', { options: { dilation: 2 } }, 'none')).toMatch(/conv5_1 has dilation 2/)
})

test('pools at other positions are refused', async () => {
  const layers = await layersOf('caffe-face')
  const without = (name: string) => layers.filter((layer) => layer.name !== name)
  const pool = layers.find((layer) => layer.name === 'pool1') as ForeignLayer
  const before = (name: string) => layers.flatMap((layer) => (layer.name === name ? [pool, layer] : [layer]))
  for (const other of [without('pool3'), before('conv1_1'), before('conv3_2'), before('pool2')])
    expect(caffe.refusal?.({ tensors: [], metadata: {}, layers: other }, undefined)).toMatch(
      /max-pools are not those of a VGG net/,
    )
  expect(caffe.refusal?.({ tensors: [], metadata: {}, layers: without('pool5') }, undefined)).toBeUndefined()
})
