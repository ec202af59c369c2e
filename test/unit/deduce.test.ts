import { describe, expect, test } from 'vitest'
import { parametersOf } from '../../lib/layer.js'
import { configurationFrom, vggLayers } from '../../lib/vgg/configuration.js'
import type { ForeignTensor } from '../../lib/weights/containers/weight-file.js'
import { deduced, type Reading } from '../../lib/weights/deduce.js'

const layers = vggLayers(configurationFrom({ variant: 'D', classes: 10, width: 0.125, headWidth: 32, imageSize: 64 }))
const indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]

/** The tensors of torchvision's VGG-16, an eighth as wide. */
const whole: readonly ForeignTensor[] = parametersOf(layers).map(({ name, shape }, index) => {
  const layer = Math.floor(index / 2)
  const own = layer < 13 ? `features.${indices[layer]}` : `classifier.${[0, 3, 6][layer - 13]}`
  return { name: `${own}.${name.split('.')[1]}`, shape, type: 'F32' }
})

const read = (tensors: readonly ForeignTensor[], reading: Reading = {}) =>
  deduced({ container: 'torch', tensors, layers: [], metadata: {} }, reading)
const without = (...names: string[]) => whole.filter(({ name }) => !names.includes(name))
const changed = (name: string, change: Partial<ForeignTensor>) =>
  whole.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor))

describe('the tensors of a file', () => {
  test('give the network: variant, width, classes, head and image size', () => {
    const { source, configuration, tensors } = read(whole)
    expect(source.name).toBe('torchvision')
    expect(configuration).toMatchObject({ classes: 10, width: 0.125, headWidth: 32, imageSize: [64, 64], channels: 3 })
    expect(configuration.variant.name).toBe('D')
    expect(tensors.get('conv5_3.weight')?.name).toBe('features.28.weight')
    expect(tensors.size).toBe(32)
  })

  test.each([['module.'], ['_orig_mod.'], ['module._orig_mod.']])('may all begin with %s', (prefix) => {
    const { tensors } = read(whole.map((tensor) => ({ ...tensor, name: `${prefix}${tensor.name}` })))
    expect(tensors.get('fc8.bias')?.name).toBe(`${prefix}classifier.6.bias`)
  })

  test('without a head, or where it is not wanted, give a network without one', () => {
    const convolutions = whole.filter(({ name }) => name.startsWith('features'))
    for (const found of [read(convolutions), read(whole, { head: 'none' })]) {
      expect(found.configuration.head).toBe('none')
      expect(found.tensors.size).toBe(26)
    }
  })
})

describe('what does not fit is named', () => {
  test.each<[string, readonly ForeignTensor[], RegExp]>([
    ['missing', without('features.5.bias', 'features.7.weight'), /missing: features\.5\.bias, features\.7\.weight/],
    [
      'a part of the head',
      without('classifier.3.bias'),
      /missing: classifier\.3\.bias; head: 'none' loads the convolutions only/,
    ],
    ['unknown', [...whole, { name: 'features.31.weight', shape: [1], type: 'F32' }], /unknown: features\.31\.weight/],
    [
      'of another shape',
      changed('features.5.weight', { shape: [16, 9, 3, 3] }),
      /features\.5\.weight is \[16, 9, 3, 3\], for conv2_1\.weight of \[16, 8, 3, 3\]/,
    ],
    ['of another type', changed('classifier.0.weight', { type: 'I8' }), /classifier\.0\.weight is .* of type I8/],
    [
      'of another width',
      changed('features.0.bias', { shape: [9] }),
      /features\.0\.bias is \[9\], for conv1_1\.bias of \[8\]/,
    ],
    ['impossible', changed('features.28.bias', { shape: [0] }), /impossible shapes/],
    [
      'no square window',
      changed('classifier.0.weight', { shape: [32, 64 * 5] }),
      /classifier\.0\.weight is \[32, 320\]/,
    ],
  ])('%s', (_, tensors, message) => {
    expect(() => read(tensors)).toThrow(message)
    expect(() => read(tensors)).toThrow(expect.objectContaining({ code: 'FILE_FORMAT' }))
  })

  test('another family of networks', () => {
    const resnet = [{ name: 'layer1.0.conv1.weight', shape: [64, 64, 3, 3], type: 'F32' }]
    expect(() => read(resnet)).toThrow(
      /Expected the weights of a VGG net .* but it has 1 tensors: layer1\.0\.conv1\.weight/,
    )
    expect(() => read([])).toThrow(/but it has no tensors/)
    // only sources that can be loaded are suggested
    expect(() => read(resnet)).not.toThrow(/batch normalisation|AdaIN/)
  })
})
