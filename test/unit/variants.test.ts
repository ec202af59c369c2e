import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { checkedLayers, type Layer, parameterCount, parametersOf, tensorNames } from '../../lib/layer.js'
import { copyable } from '../../lib/network/copy.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { type VariantLetter, type VariantName, variantLetter } from '../../lib/vgg/variants.js'
import { layersOfA } from '../../lib/vgg/vgg.js'

/** Any string, as from JavaScript. */
const of = (variant: string, classes = 1000) => layersOf({ variant: variant as VariantName, classes })
const named = (layers: readonly Layer[], name: string) => layers.find((layer) => 'name' in layer && layer.name === name)

describe('the six configurations of Table 1', () => {
  // weights and biases with 1000 classes; A, B, D and E are torchvision's numbers
  it.each([
    ['A', 132_863_336, 9_220_480],
    ['A-LRN', 132_863_336, 9_220_480],
    ['B', 133_047_848, 9_404_992],
    ['C', 133_638_952, 9_996_096],
    ['D', 138_357_544, 14_714_688],
    ['E', 143_667_240, 20_024_384],
  ])('%s has %i parameters', (variant, total, convolutions) => {
    const layers = of(variant)
    expect(parameterCount(layers)).toBe(total)
    expect(parameterCount(layers.filter(({ kind }) => kind !== 'linear'))).toBe(convolutions)
  })

  it.each([
    ['A', 8],
    ['A-LRN', 8],
    ['B', 10],
    ['C', 13],
    ['D', 13],
    ['E', 16],
  ])('%s has %i convolutions, five pools and three linear layers', (variant, convolutions) => {
    const count = (kind: Layer['kind']) => of(variant).filter((layer) => layer.kind === kind).length
    expect([count('convolution'), count('max-pool'), count('linear')]).toEqual([convolutions, 5, 3])
  })

  it('calls layers and tensors as the authors do', () => {
    expect(tensorNames(of('A-LRN')).join(' ')).toBe(
      'conv1_1 relu1_1 norm1 pool1 conv2_1 relu2_1 pool2 conv3_1 relu3_1 conv3_2 relu3_2 pool3 ' +
        'conv4_1 relu4_1 conv4_2 relu4_2 pool4 conv5_1 relu5_1 conv5_2 relu5_2 pool5 fc6 relu6 fc7 relu7 fc8',
    )
    expect(tensorNames(of('E'))).toContain('conv5_4')
  })

  it('have the layers that the golden files were made from', async () => {
    const file = await readFile(new URL('../golden/variants.json', import.meta.url), 'utf8')
    const golden: { variant: VariantLetter; layers: Layer[] }[] = JSON.parse(file)
    expect(golden.map(({ variant }) => variant)).toEqual(['A', 'A-LRN', 'B', 'C', 'D', 'E'])
    for (const { variant, layers } of golden) {
      const ours = layersOf({ variant, classes: 1000, scale: 1 / 64 }).map((layer) => {
        if (layer.kind !== 'linear') return layer
        const { dropout: _, ...rest } = layer
        return rest
      })
      expect(ours).toEqual(layers)
    }
  })

  it('has 1x1 convolutions in C, third in blocks 3 to 5', () => {
    const small = of('C').filter((layer) => layer.kind === 'convolution' && layer.kernel === 1)
    expect(small.map((layer) => 'name' in layer && layer.name)).toEqual(['conv3_3', 'conv4_3', 'conv5_3'])
  })

  it('names and shapes parameters in logical order', () => {
    const parameters = new Map(parametersOf(of('D', 500)).map(({ name, shape }) => [name, shape]))
    expect(parameters.get('conv1_1.weight')).toEqual([64, 3, 3, 3])
    expect(parameters.get('fc6.weight')).toEqual([4096, 25088])
    expect(parameters.get('fc8.bias')).toEqual([500])
    expect(parameters.size).toBe(32)
  })
})

describe('names of variants', () => {
  it.each([
    ['A', ['a', 'VGG11', 'vgg-11', 'Vgg_11', ' vgg 11 ']],
    ['A-LRN', ['a-lrn', 'ALRN', 'VGG11-LRN', 'vgg11lrn']],
    ['B', ['b', 'VGG13', 'VGG-13']],
    ['C', ['c', 'VGG16-1', 'VGG-16 (Conv1)', 'vgg16-conv1']],
    ['D', ['d', 'VGG16', 'VGG-16', 'vgg16']],
    ['E', ['e', 'VGG19', 'VGG-19']],
  ])('%s', (letter, names) => {
    for (const name of [letter, ...names]) expect(variantLetter(name)).toBe(letter)
  })

  it('refuses others, and says what was likely meant', () => {
    expect(() => of('VGG61')).toThrow(/Expected one of A, VGG11, .* for variant but received 'VGG61'; did you mean/)
    expect(() => of('resnet50')).toThrow(/received 'resnet50'$/)
    for (const wrong of [undefined, null, 16, ['A']]) {
      expect(() => layersOf({ variant: wrong as never, classes: 2 })).toThrow(/for variant but received/)
    }
  })
})

describe('layersOf', () => {
  it('fits the head to the image', () => {
    const window = (imageSize: number | [number, number]) => {
      const fc6 = named(layersOf({ variant: 'A', classes: 10, imageSize }), 'fc6')
      return fc6?.kind === 'linear' ? fc6.window : undefined
    }
    expect(window(224)).toEqual([7, 7])
    expect(window(32)).toEqual([1, 1])
    expect(window([64, 127])).toEqual([2, 3])
    expect(() => window(31)).toThrow(/at least 32 pixels for 5 blocks for imageSize but received \[31, 31\]/)
    expect(() => window([32, 31])).toThrow(/imageSize/)
    expect(() => window([32] as never)).toThrow(/imageSize/)
    expect(() => window(32.5)).toThrow(/imageSize/)
  })

  it('scales the width, and keeps at least one channel', () => {
    const outputs = (width: number) => {
      const first = named(layersOf({ variant: 'A', classes: 2, width }), 'conv1_1')
      return first?.kind === 'convolution' ? first.outputs : undefined
    }
    expect([outputs(1), outputs(0.5), outputs(1 / 128), outputs(0.001)]).toEqual([64, 32, 1, 1])
    expect(() => outputs(0)).toThrow(/a number above 0 for width/)
  })

  it('chooses the input scale with the initialisation', () => {
    const input = (options: object) => layersOf({ variant: 'A', classes: 2, ...options })[0]
    const third = 1 / 58
    expect(input({})).toEqual({
      kind: 'input',
      channels: 3,
      mean: [123.68, 116.779, 103.939],
      scale: [third, third, third],
    })
    expect(input({ initialisation: 'paper' })).toMatchObject({ scale: [1, 1, 1] })
    expect(input({ channels: 1 })).toEqual({ kind: 'input', channels: 1, mean: [127.5], scale: [third] })
    expect(input({ meanRgb: 5, scale: [1, 2, 3] })).toMatchObject({ mean: [5, 5, 5], scale: [1, 2, 3] })
    expect(() => input({ meanRgb: [1, 2] })).toThrow(/3 numbers, one for each channel for meanRgb/)
    expect(() => input({ scale: 0 })).toThrow(/a number above 0 for scale/)
  })

  it('gives the normalisation the literal constants, or those of Caffe', () => {
    const norm = (localNorm?: 'literal' | 'caffe') =>
      named(layersOf({ variant: 'A-LRN', classes: 2, ...(localNorm && { localNorm }) }), 'norm1')
    expect(norm()).toMatchObject({ size: 5, k: 2, alpha: 1e-4, beta: 0.75 })
    expect(norm('caffe')).toMatchObject({ size: 5, k: 1, alpha: 2e-5, beta: 0.75 })
  })

  it('takes a table row of the user', () => {
    const layers = layersOf({
      variant: { channels: [8, 16], blocks: [[3, 'LRN', 1], [3]] },
      classes: 4,
      imageSize: [8, 12],
      channels: 2,
      headWidth: 10,
      dropout: 0,
    })
    expect(tensorNames(layers).join(' ')).toBe(
      'conv1_1 relu1_1 norm1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 pool2 fc6 relu6 fc7 relu7 fc8',
    )
    expect(named(layers, 'fc6')).toMatchObject({ window: [2, 3], outputs: 10, dropout: 0 })
    expect(() => checkedLayers(layers, 'layers')).not.toThrow()
  })

  it.each([
    [{ blocks: [] }, /at least one block/],
    [{ blocks: [[]] }, /a convolution \(1 or 3\) first/],
    [{ blocks: [['LRN', 3]] }, /a convolution \(1 or 3\) first/],
    [{ blocks: [[3, 'LRN', 'LRN']] }, /at most one 'LRN'/],
    [{ blocks: [[5]] }, /1, 3 or 'LRN' for variant.blocks\[0\]\[0\] but received 5/],
    [{ blocks: [[3]] }, /1 numbers, one for each block for variant.channels/],
    [{ blocks: [[3]], channels: [0] }, /for variant.channels\[0\]/],
    [{ block: [[3]] }, /did you mean 'blocks'\?/],
  ])('refuses the row %j', (row, message) => {
    expect(() => layersOf({ variant: row as never, classes: 2 })).toThrow(message)
  })

  it.each([
    [{ classes: 0 }, /for classes/],
    [{ clases: 2 }, /did you mean 'classes'\?/],
    [{ dropout: 1 }, /for dropout/],
    [{ headWidth: 1.5 }, /for headWidth/],
    [{ channels: -1 }, /for channels/],
    [{ localNorm: 'cafe' }, /did you mean 'caffe'\?/],
    [{ initialisation: 'xavier' }, /one of glorot, he, paper, none for initialisation/],
    [{ classNames: ['one'] }, /Expected 2 classNames, one for each class, but received 1/],
  ])('refuses %j', (options, message) => {
    expect(() => layersOf({ variant: 'A', classes: 2, ...options } as never)).toThrow(message)
  })
})

describe('copyable', () => {
  it('finds what the paper copies from A, by name, in each deeper net', () => {
    for (const variant of ['B', 'C', 'D', 'E'])
      expect(copyable(of('A'), of(variant), layersOfA)).toEqual({ copied: layersOfA, notCopied: [] })
  })

  it('says why a layer cannot be copied', () => {
    const { copied, notCopied } = copyable(of('A', 10), of('D', 20), 'all')
    expect(copied).toContain('fc7')
    expect(notCopied).toContainEqual({
      name: 'fc8',
      reason: 'its shapes are [20, 4096] and [20] here and [10, 4096] and [10] in the other network',
    })
    const reason = 'the other network has no such layer with parameters'
    expect(notCopied).toContainEqual({ name: 'conv1_2', reason })
    expect(() => copyable(of('A'), of('D'), ['fc7', 'conv1_2'])).toThrow(`conv1_2: ${reason}`)
  })
})
