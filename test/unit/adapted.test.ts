import { describe, expect, test } from 'vitest'
import { Random } from '../../lib/random.js'
import { type AdaptOptions, adaptedConfiguration, type FirstLayer } from '../../lib/vgg/adapted.js'
import { configurationFrom, type VggConfiguration } from '../../lib/vgg/configuration.js'

const small = { variant: 'A', width: 0.125, imageSize: 64, headWidth: 16 } as const
const whole = configurationFrom({ ...small, classes: 5, dropout: 0.4 })
const trunk = configurationFrom({ variant: 'A', width: 0.125, imageSize: 64, head: 'none' })

/** The layers of these parameters. */
const layersIn = (names: ReadonlySet<string>): string[] => [
  ...new Set([...names].map((name) => name.replace(/\.\w+$/, ''))),
]

describe('the head of a loaded model', () => {
  test.each<[string, AdaptOptions, Partial<typeof whole>, string[]]>([
    ['is kept without options', {}, { classes: 5, headWidth: 16, dropout: 0.4 }, []],
    ['is kept for its own classes', { classes: 5 }, { classes: 5, headWidth: 16 }, []],
    ['has a new fc8 for others', { classes: 3 }, { classes: 3, headWidth: 16, dropout: 0.4 }, ['fc8']],
    ['is new for another width', { headWidth: 8 }, { classes: 5, headWidth: 8 }, ['fc6', 'fc7', 'fc8']],
    ['is kept with another dropout', { dropout: 0 }, { dropout: 0 }, []],
    ['is kept for a size of the same window', { imageSize: 70 }, { imageSize: [70, 70] }, []],
    ['is new for another window and classes', { imageSize: 96, classes: 3 }, { classes: 3 }, ['fc6', 'fc7', 'fc8']],
    ['is new for another window and a width', { imageSize: 96, headWidth: 16 }, { classes: 5 }, ['fc6', 'fc7', 'fc8']],
  ])('%s', (_, options, expected, fresh) => {
    const { configuration, ...found } = adaptedConfiguration(whole, options)
    expect(configuration).toMatchObject(expected)
    expect(layersIn(found.fresh)).toEqual(fresh)
    expect(layersIn(found.kept)).toEqual(
      [
        'conv1_1',
        'conv2_1',
        'conv3_1',
        'conv3_2',
        'conv4_1',
        'conv4_2',
        'conv5_1',
        'conv5_2',
        'fc6',
        'fc7',
        'fc8',
      ].filter((layer) => !fresh.includes(layer)),
    )
    expect(found.firstLayer).toBeUndefined()
  })

  test('is left out, added and absent', () => {
    expect(adaptedConfiguration(whole, { head: 'none' }).configuration).toEqual(trunk)
    expect(adaptedConfiguration(trunk).configuration).toEqual(trunk)
    expect(adaptedConfiguration(trunk, { head: 'none', imageSize: 97 }).configuration.imageSize).toEqual([97, 97])
    const added = adaptedConfiguration(trunk, { classes: 3, headWidth: 8 })
    expect(added.configuration).toEqual(configurationFrom({ ...small, headWidth: 8, classes: 3 }))
    expect(layersIn(added.fresh)).toEqual(['fc6', 'fc7', 'fc8'])
  })

  test('has the class names of the model for as many classes, and those of the options', () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    expect(adaptedConfiguration(whole, {}, names).classNames).toEqual(names)
    expect(adaptedConfiguration(whole, { classes: 3 }, names).classNames).toEqual([])
    expect(adaptedConfiguration(whole, { head: 'none' }, names).classNames).toEqual([])
    expect(adaptedConfiguration(whole, { classes: 2, classNames: ['x', 'y'] }, names).classNames).toEqual(['x', 'y'])
  })

  test.each<[string, typeof whole | typeof trunk, AdaptOptions, string, RegExp]>([
    ['classes of no head', whole, { head: 'none', classes: 3 }, 'INVALID_ARGUMENT', /no classes with head: 'none'/],
    ['a width of no head', trunk, { headWidth: 8 }, 'INVALID_ARGUMENT', /headWidth .*; classes: N gives it a new head/],
    [
      'a head of another window',
      whole,
      { imageSize: 96 },
      'INVALID_ARGUMENT',
      /window of 2x2, and not 3x3, .*; give headWidth: 16 for a new head, or head: 'none'/,
    ],
    ['the same with its own classes', whole, { imageSize: 96, classes: 5 }, 'INVALID_ARGUMENT', /give headWidth: 16/],
    ['a way for equal channels', whole, { channelInit: 'mean' }, 'INVALID_ARGUMENT', /no channelInit .* 3 channels/],
    ['names of other classes', whole, { classNames: ['x'] }, 'SHAPE_MISMATCH', /5 classNames.* received 1/],
    ['a small image', whole, { head: 'none', imageSize: 31 }, 'INVALID_ARGUMENT', /at least 32 pixels/],
    ['a misspelt option', whole, { chanels: 1 } as AdaptOptions, 'INVALID_ARGUMENT', /did you mean 'channels'/],
  ])('is refused: %s', (_, model, options, code, message) => {
    expect(() => adaptedConfiguration(model, options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })
})

const random = new Random(4)
const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal())

describe('conv1_1 for other channels', () => {
  const rgb = configurationFrom({ ...small, classes: 5, scale: [0.01, 0.02, 0.03] })
  const first: FirstLayer = { weight: numbers(8 * 3 * 9), bias: numbers(8) }
  const adapt = (options: AdaptOptions, model = rgb) => {
    const { configuration, firstLayer } = adaptedConfiguration(model, options)
    return { configuration, layer: firstLayer?.(first) ?? first }
  }

  /** The output of a filter at a pixel whose neighbours have the same colour. */
  function response(configuration: VggConfiguration, { weight, bias }: FirstLayer, filter: number, colour: number[]) {
    const { meanRgb, scale } = configuration
    return colour.reduce((sum, value, channel) => {
      const begin = (filter * colour.length + channel) * 9
      const kernel = weight.subarray(begin, begin + 9).reduce((total, one) => total + one, 0)
      return sum + kernel * (value - (meanRgb[channel] ?? 0)) * (scale[channel] ?? 0)
    }, bias[filter] ?? 0)
  }

  test('gives a grey image what its RGB form gives', () => {
    const { configuration, layer } = adapt({ channels: 1 })
    expect(configuration).toMatchObject({ channels: 1, meanRgb: [expect.any(Number)], scale: [expect.any(Number)] })
    expect(layer.weight.length).toBe(8 * 9)
    for (const value of [0, 80, 255]) {
      const before = response(rgb, first, 2, [value, value, value])
      expect(response(configuration, layer, 2, [value])).toBeCloseTo(before, 4)
    }
  })

  test('repeats the kernels in turn, as timm does', () => {
    const { configuration, layer } = adapt({ channels: 5, channelInit: 'sum' })
    for (let channel = 0; channel < 5; channel++) {
      const of = channel % 3
      expect(configuration.meanRgb[channel]).toBe(rgb.meanRgb[of])
      expect(configuration.scale[channel]).toBe(rgb.scale[of])
      for (let tap = 0; tap < 9; tap++)
        expect(layer.weight[channel * 9 + tap]).toBeCloseTo(((first.weight[of * 9 + tap] ?? 0) * 3) / 5, 6)
    }
    expect(layer.bias).toEqual(first.bias)
  })

  test('has the mean of the kernels in each channel', () => {
    const even = configurationFrom({ ...small, classes: 5, meanRgb: 100, scale: 0.01 })
    const { layer } = adapt({ channels: 2, channelInit: 'mean' }, even)
    const [red = 0, green = 0, blue = 0] = [0, 9, 18].map((begin) => first.weight[begin])
    for (const begin of [0, 9]) expect(layer.weight[begin]).toBeCloseTo((red + green + blue) / 3, 6)
    expect(layer.bias).toEqual(first.bias)
  })

  test('has no colour shift, which is for red, green and blue; S is in proportion to the size', () => {
    const colour = {
      values: [3, 2, 1],
      vectors: [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ],
      deviation: 0.1,
    }
    const model = { ...rgb, preprocessing: { smallestSide: 70, colour } }
    expect(adapt({}, model).configuration.preprocessing).toEqual({ smallestSide: 70, colour })
    expect(adapt({ channels: 1 }, model).configuration.preprocessing).toEqual({ smallestSide: 70 })
    const larger = adaptedConfiguration(
      { ...model, preprocessing: { smallestSide: [70, 140] } },
      { imageSize: 96, head: 'none' },
    )
    expect(larger.configuration.preprocessing).toEqual({ smallestSide: [105, 210] })
  })
})
