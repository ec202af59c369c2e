import { describe, expect, test } from 'vitest'
import type { Layer } from '../../lib/layer.js'
import { expectClose, expectEqual } from '../compare.js'
import { dropoutMask } from '../reference/dropout.js'
import { formulaBytes, formulaIndices, formulaValues, keyOf } from '../reference/formula.js'
import { imagesToTensor } from '../reference/input.js'
import { localNorm } from '../reference/local-norm.js'
import { softmaxLoss } from '../reference/loss.js'
import { maxPool } from '../reference/max-pool.js'
import { parameterShapes, ReferenceRun, type RunOptions } from '../reference/network.js'
import { philox } from '../reference/philox.js'
import { sgd } from '../reference/sgd.js'
import { elementCount, type Shape, type Tensor64, tensorOf } from '../reference/tensor.js'

const input: Layer = { kind: 'input', channels: 2, mean: [0.25, -0.5], scale: [2, 0.5] }
const conv: Layer = { kind: 'convolution', name: 'conv', outputs: 3, kernel: 3, relu: 'relu' }
const norm: Layer = { kind: 'local-norm', name: 'norm', size: 3, k: 2, alpha: 0.3, beta: 0.75 }
const pool: Layer = { kind: 'max-pool', name: 'pool' }

describe('the reference against finite differences', () => {
  const cases: { name: string; layers: Layer[]; shape: Shape; options?: RunOptions }[] = [
    { name: 'input', layers: [input], shape: [2, 2, 2, 3] },
    {
      name: 'input with flip and colour shift',
      layers: [input],
      shape: [2, 2, 2, 3],
      options: { augmentation: { flip: [true, false], shift: [1, 2, 3, 4] } },
    },
    { name: 'convolution 3x3', layers: [input, { ...conv, relu: undefined }], shape: [2, 2, 4, 3] },
    { name: 'convolution 3x3 on one row', layers: [input, { ...conv, relu: undefined }], shape: [1, 2, 1, 5] },
    { name: 'convolution 1x1', layers: [input, { ...conv, kernel: 1, relu: undefined }], shape: [2, 2, 3, 2] },
    { name: 'convolution with ReLU', layers: [input, conv], shape: [2, 2, 4, 3] },
    { name: 'max-pool', layers: [input, pool], shape: [2, 2, 5, 4] },
    { name: 'local norm', layers: [input, norm], shape: [2, 2, 2, 3] },
    { name: 'local norm over more channels', layers: [input, { ...conv, outputs: 7 }, norm], shape: [1, 2, 2, 2] },
    { name: 'linear', layers: [input, linear('fc', [3, 2])], shape: [2, 2, 3, 2] },
    { name: 'sliding linear', layers: [input, linear('fc', [2, 3])], shape: [2, 2, 4, 4] },
    { name: 'spatial mean', layers: [input, { kind: 'spatial-mean', name: 'mean' }], shape: [2, 2, 3, 4] },
    {
      name: 'linear with ReLU and dropout',
      layers: [input, { ...linear('fc6', [2, 2]), relu: 'relu6', dropout: 0.4 }, linear('fc7', [1, 1])],
      shape: [3, 2, 2, 2],
      options: { dropout: { seed: 3, step: 5 } },
    },
    {
      name: 'a whole network',
      layers: [
        input,
        conv,
        norm,
        pool,
        { ...conv, name: 'conv2', outputs: 4, relu: 'relu2' },
        { ...linear('fc6', [2, 1]), relu: 'relu6', dropout: 0.5 },
        linear('fc7', [1, 1]),
        { kind: 'spatial-mean', name: 'mean' },
      ],
      shape: [2, 2, 4, 6],
      options: { dropout: { seed: 3, step: 5 } },
    },
  ]
  test.each(cases)('$name', ({ layers, shape, options }) => {
    const parameters = new Map(
      parameterShapes(layers).map((p) => [p.name, noise(`differences/${p.name}`, elementCount(p.shape))]),
    )
    const pixels = tensorOf(shape, noise('differences/pixels', elementCount(shape)))
    const first = new ReferenceRun(layers, parameters, pixels, options)
    const weights = noiseLike('differences/gradient', first.output)
    const names = layers.flatMap((layer) =>
      'name' in layer ? [layer.name, ('relu' in layer && layer.relu) || ''] : [],
    )
    const injected = new Map(
      names.filter((name) => name !== '').map((name) => [name, noiseLike(`differences/${name}`, first.tensor(name))]),
    )
    const objective = () => {
      const run = new ReferenceRun(layers, parameters, pixels, options)
      return [...injected].reduce((sum, [name, g]) => sum + dot(run.tensor(name), g), dot(run.output, weights))
    }
    const gradients = first.backward(weights, injected)
    const tolerance = { relative: 1e-7, absolute: 1e-9 }
    expectClose('input gradient', gradients.input.data, differences(pixels.data, objective), tolerance)
    expect([...gradients.parameters.keys()].sort()).toEqual([...parameters.keys()].sort())
    for (const [name, values] of parameters)
      expectClose(name, gradients.parameters.get(name) ?? [], differences(values, objective), tolerance)
  })

  test('soft-max and cross-entropy', () => {
    const logits = tensorOf([3, 4, 1, 1], noise('loss', 12))
    const objective = () => softmaxLoss(logits, [3, 0, 1], 5).loss
    const { gradient } = softmaxLoss(logits, [3, 0, 1], 5)
    expectClose('gradient', gradient.data, differences(logits.data, objective), { relative: 1e-7 })
  })
})

describe('the reference against known answers', () => {
  test('the input is shifted and mirrored, then centred and scaled', () => {
    const pixels = tensorOf([2, 2, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8])
    const augmentation = { flip: [false, true], shift: [10, 20, 30, 40] }
    const run = new ReferenceRun([{ ...input, mean: [1, 2], scale: [2, 4] }], new Map(), pixels, { augmentation })
    expectEqual('output', run.output.data, [20, 22, 84, 88, 70, 68, 184, 180])
  })

  test('Philox4x32-10 gives the vectors of Random123', () => {
    const largest = 0xffffffff
    const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
    expect(philox([largest, largest, largest, largest], [largest, largest])).toEqual([
      0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
    ])
    expect(philox(pi, [0xa4093822, 0x299f31d0])).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1])
  })

  test('a dropout mask reads counter and key as agreed', () => {
    const key = { seed: 2 ** 32 + 7, step: 3 * 2 ** 32 + 9, firstImage: 5 }
    const mask = dropoutMask([2, 62, 1, 1], 0.75, 1, key).data
    const words = Array.from({ length: 16 }, (_, quad) => philox([quad, 6, 9, 3 ^ (1 << 16)], [7, 1])).flat()
    const expected = words.slice(0, 62).map((word) => (word < 3 * 2 ** 30 ? 0 : 4))
    expectEqual('image 1', mask.subarray(62), expected)
  })

  test('each layer with dropout has a stream of its own', () => {
    const identity = { ...linear('fc6', [1, 1]), outputs: 1, relu: 'relu6', dropout: 0.5 }
    const layers: Layer[] = [{ ...input, channels: 1 }, identity, { ...identity, name: 'fc7', relu: 'relu7' }]
    const parameters = new Map(
      ['fc6', 'fc7'].flatMap((name) => [
        [`${name}.weight`, Float64Array.of(1)],
        [`${name}.bias`, Float64Array.of(0)],
      ]),
    )
    const ones = tensorOf([64, 1, 1, 1], new Float64Array(64).fill(0.75))
    const key = { seed: 4, step: 2 }
    const expected = dropoutMask(ones.shape, 0.5, 0, key).data.map(
      (factor, i) => factor * dropoutMask(ones.shape, 0.5, 1, key).data[i],
    )
    expectEqual('output', new ReferenceRun(layers, parameters, ones, { dropout: key }).output.data, expected)
    expectEqual('in evaluation', new ReferenceRun(layers, parameters, ones).output.data, expected.fill(1))
  })

  test('micro-batches draw the masks of the whole batch, layers and steps draw their own', () => {
    const whole = dropoutMask([4, 9, 1, 1], 0.5, 0, { seed: 1, step: 2 }).data
    const half = dropoutMask([2, 9, 1, 1], 0.5, 0, { seed: 1, step: 2, firstImage: 2 }).data
    expectEqual('second half', half, whole.subarray(18))
    expect(dropoutMask([4, 9, 1, 1], 0.5, 1, { seed: 1, step: 2 }).data).not.toEqual(whole)
    expect(dropoutMask([4, 9, 1, 1], 0.5, 0, { seed: 1, step: 3 }).data).not.toEqual(whole)
    expect(dropoutMask([4, 9, 1, 1], 0.5, 0, { seed: 2, step: 2 }).data).not.toEqual(whole)
  })

  test('a dropout mask drops the share it says, and keeps the mean', () => {
    const mask = dropoutMask([8, 5000, 1, 1], 0.3, 0, { seed: 1, step: 1 }).data
    expect(mask.filter((factor) => factor === 0).length / mask.length).toBeCloseTo(0.3, 2)
    expect(mask.reduce((sum, factor) => sum + factor, 0) / mask.length).toBeCloseTo(1, 2)
  })

  test('of equal maxima the first wins', () => {
    const rows = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 5, 5]
    expect([...maxPool(tensorOf([1, 3, 2, 2], rows)).winners]).toEqual([3, 4, 10])
    expect([...maxPool(tensorOf([1, 1, 2, 4], [1, 2, 7, 7, 2, 1, 7, 7])).winners]).toEqual([1, 2])
  })

  test('the local norm does not divide alpha by its size', () => {
    const output = localNorm(tensorOf([1, 3, 1, 1], [1, 2, 3]), { size: 3, k: 1, alpha: 1, beta: 1 }).data
    expectClose('output', output, [1 / 6, 2 / 15, 3 / 14], { relative: 1e-15 })
  })

  test('equal logits lose ln(classes)', () => {
    const { loss, gradient } = softmaxLoss(tensorOf([2, 4, 1, 1], new Float64Array(8).fill(1000)), [0, 3])
    expect(loss).toBeCloseTo(Math.log(4), 12)
    expectClose(
      'gradient',
      gradient.data,
      [-3, 1, 1, 1, 1, 1, 1, -3].map((value) => value / 8),
      { relative: 1e-15 },
    )
  })

  test('SGD in the form of Caffe carries the old rate in its velocity', () => {
    const [w, v] = [new Float64Array([2]), new Float64Array([0])]
    sgd(w, v, new Float64Array([2]), { learningRate: 0.5, momentum: 0.5, weightDecay: 0.25 })
    expect([v[0], w[0]]).toEqual([-1.25, 0.75])
    sgd(w, v, new Float64Array([2]), { learningRate: 0.25, momentum: 0.5, weightDecay: 0 })
    expect([v[0], w[0]]).toEqual([-1.125, -0.375])
  })

  test('bytes n h w c become planes n c h w', () => {
    const tensor = imagesToTensor(Uint8Array.from([1, 2, 3, 4, 5, 6]), [1, 2, 1, 3])
    expect([...tensor.data]).toEqual([1, 3, 5, 2, 4, 6])
  })

  test('the formula gives the numbers of its twin in Python', () => {
    expect(keyOf('article/images')).toBe(1705091793)
    expect([...formulaValues('article/images', 3, 7)]).toEqual([
      33.63618469238281, -34.40217590332031, -1.5773468017578125,
    ])
    expect([...formulaBytes('article/images', 4)]).toEqual([161, 93, 126, 24])
    expect(formulaIndices('article/images', 4, 1000)).toEqual([358, 980, 245, 594])
  })
})

function linear(name: string, window: [number, number]) {
  return { kind: 'linear', name, outputs: 3, window } as const
}

function noise(name: string, count: number): Float64Array {
  return Float64Array.from(formulaValues(name, count, 0))
}

function noiseLike(name: string, { shape, data }: Tensor64): Tensor64 {
  return tensorOf(shape, noise(name, data.length))
}

function dot(a: Tensor64, b: Tensor64): number {
  return a.data.reduce((sum, value, i) => sum + value * b.data[i], 0)
}

/** The gradient of a function of `values` by central differences of fourth order. */
function differences(values: Float64Array, objective: () => number): Float64Array {
  const h = 1e-4
  return values.map((value, i) => {
    const at = (offset: number) => {
      values[i] = value + offset
      return objective()
    }
    const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    values[i] = value
    return slope
  })
}
