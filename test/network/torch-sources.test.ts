import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { type LoadOptions, load, type VGG } from '../../lib/index.js'
import { newFolder } from '../setup/folder.js'
import { dictionary, stream, tensor } from '../setup/pickled.js'

/** The configurations of the paper as torchvision writes them, 1/32 as wide; a number of channels, or a max-pool. */
const tables = {
  A: [2, 'M', 4, 'M', 8, 8, 'M', 16, 16, 'M', 16, 16, 'M'],
  D: [2, 2, 'M', 4, 4, 'M', 8, 8, 8, 'M', 16, 16, 16, 'M', 16, 16, 16, 'M'],
  E: [2, 2, 'M', 4, 4, 'M', 8, 8, 8, 8, 'M', 16, 16, 16, 16, 'M', 16, 16, 16, 16, 'M'],
} as const

type Shapes = Record<string, readonly number[]>

/** Names and shapes of the convolutions, each of which takes `each` layers of a sequence that begins with layer `first`. */
function convolutions(variant: keyof typeof tables, prefix: string, each = 2, first = 0): Shapes {
  const shapes: Shapes = {}
  let [index, inputs] = [first, 3]
  for (const outputs of tables[variant]) {
    if (outputs === 'M') index += 1
    else {
      shapes[`${prefix}${index}.weight`] = [outputs, inputs, 3, 3]
      shapes[`${prefix}${index}.bias`] = [outputs]
      if (each === 3 && first === 0) shapes[`${prefix}${index + 1}.running_mean`] = [outputs]
      index += each
      inputs = outputs
    }
  }
  return shapes
}

/** Names and shapes of three linear layers for 32x32 pixels. */
const linear = (names: readonly string[]): Shapes =>
  Object.fromEntries(
    names.flatMap((name, index) => {
      const outputs = index === 2 ? 3 : 4
      return [
        [`${name}.weight`, [outputs, index === 0 ? 16 : 4]],
        [`${name}.bias`, [outputs]],
      ]
    }),
  )

const classifier = (indices: readonly number[]): Shapes => linear(indices.map((index) => `classifier.${index}`))

/** Loads a file of these tensors. Element i of a tensor is i; all of `classifier` are `head`, if given. */
async function loaded<T>(shapes: Shapes, options: LoadOptions, use: (net: VGG) => T, head?: number): Promise<T> {
  const storages = Object.entries(shapes).map(([name, shape]): [name: string, values: number[]] => {
    const length = shape.reduce((product, one) => product * one, 1)
    return [name, Array.from({ length }, (_, i) => (name.startsWith('classifier') ? (head ?? i) : i))]
  })
  const tensors = storages.map(([key, { length }]): [string, Buffer] => {
    const shape = shapes[key] ?? []
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, one) => product * one, 1))
    return [key, tensor({ key, elements: length, shape, strides })]
  })
  const file = path.join(newFolder(), 'weights.pth')
  writeFileSync(file, stream(dictionary(Object.fromEntries(tensors)), Object.fromEntries(storages)))
  const net = await load(file, options)
  try {
    return await use(net)
  } finally {
    net.dispose()
  }
}

/** Source, pixels and the first three kernels' first elements of a network. */
async function factsOf(net: VGG) {
  const { meanRgb, scale } = net.configuration
  const values = await (await net.parameter('conv1_1.weight')).data()
  return { source: net.origin?.source, meanRgb, scale, first: [values[0], values[9], values[18]] }
}

const ours = (shapes: Shapes): Shapes => {
  const names = [
    '1_1',
    '1_2',
    '2_1',
    '2_2',
    '3_1',
    '3_2',
    '3_3',
    '3_4',
    '4_1',
    '4_2',
    '4_3',
    '4_4',
    '5_1',
    '5_2',
    '5_3',
    '5_4',
  ]
  return Object.fromEntries(
    Object.values(shapes).map((shape, index) => [`conv${names[index >> 1]}.${index % 2 ? 'bias' : 'weight'}`, shape]),
  )
}

describe('sources of PyTorch files', () => {
  const bgr = { meanRgb: [123.68, 116.779, 103.939], scale: [1, 1, 1], first: [18, 9, 0] }

  it("jcjohnson's are BGR", async () => {
    const facts = await loaded({ ...convolutions('D', 'features.'), ...classifier([1, 4, 6]) }, {}, factsOf)
    expect(facts).toEqual({ source: 'jcjohnson', ...bgr })
  })

  it("Gatys' are BGR, and have no head", async () => {
    const facts = await loaded(ours(convolutions('E', '')), { head: 'none' }, factsOf)
    expect(facts).toEqual({ source: 'gatys', ...bgr })
  })

  it("torchvision's features saved by themselves are RGB", async () => {
    const { source, first } = await loaded(convolutions('D', ''), { head: 'none' }, factsOf)
    expect({ source, first }).toEqual({ source: 'torchvision', first: [0, 9, 18] })
  })

  it("amdegroot's classifier is refused, and its features are read with their own mean", async () => {
    const shapes = { ...convolutions('D', 'features.'), ...classifier([0, 3, 6]) }
    await expect(loaded(shapes, {}, factsOf, Number.NaN)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(/amdegroot.*classifier is filled with NaN; head: 'none' loads/),
    })
    const { source, meanRgb, scale } = await loaded(shapes, { head: 'none' }, factsOf, Number.NaN)
    expect(source).toBe('amdegroot')
    expect(meanRgb.map((mean) => mean / 255)).toEqual([0.48235, 0.45882, 0.40784])
    expect(scale).toEqual([1, 1, 1])
  })

  it("the dilated layers of SSD's trunk are refused by name", async () => {
    const dilated = { '31.weight': [32, 16, 3, 3], '31.bias': [32], '33.weight': [32, 32, 1, 1], '33.bias': [32] }
    const shapes = { ...convolutions('D', ''), ...dilated }
    await expect(loaded(shapes, {}, factsOf)).rejects.toThrow(/dilated convolutions \(31\.weight\); head: 'none'/)
    expect((await loaded(shapes, { head: 'none' }, factsOf)).source).toBe('amdegroot')
  })

  it('batch normalisation is refused, and the file without it is named', async () => {
    const cases = [
      ['A', 'vgg11-8a719046.pth'],
      ['D', 'vgg16-397923af.pth'],
      ['E', 'vgg19-dcbb9e9d.pth'],
    ] as const
    for (const [variant, other] of cases) {
      const shapes = { ...convolutions(variant, 'features.', 3), ...classifier([0, 3, 6]) }
      await expect(loaded(shapes, {}, factsOf)).rejects.toMatchObject({
        code: 'FILE_FORMAT',
        message: expect.stringMatching(`batch normalisation \\(features.1.running_mean\\).*use torchvision's ${other}`),
      })
    }
  })

  it("AdaIN's is refused", async () => {
    const shapes = { '0.weight': [3, 3, 1, 1], '0.bias': [3], ...convolutions('E', '', 3, 2) }
    await expect(loaded(shapes, {}, factsOf)).rejects.toThrow(/pads by reflection.*1x1 convolution.*vgg19-dcbb9e9d/)
  })

  it("another family's weights are refused", async () => {
    const shapes = { 'conv1.weight': [64, 3, 7, 7], 'bn1.weight': [64], 'layer1.0.conv1.weight': [64, 64, 3, 3] }
    await expect(loaded(shapes, {}, factsOf)).rejects.toThrow(/Expected the weights of a VGG net .* conv1\.weight/)
  })
})
