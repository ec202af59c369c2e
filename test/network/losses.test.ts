// Gradients inside a network and losses of features, against PyTorch's autograd and the package lpips.
import { describe, expect, test } from 'vitest'
import {
  gramError,
  gramLoss,
  gramMatrices,
  Lpips,
  perceptualLoss,
  squaredError,
  totalVariation,
} from '../../lib/index.js'
import type { Layer } from '../../lib/layer.js'
import { Network } from '../../lib/network/network.js'
import { elementCount, Tensor } from '../../lib/tensor.js'
import { expectClose } from '../compare.js'
import { formulaValues } from '../reference/formula.js'
import { readGolden } from '../reference/golden.js'
import { parameterShapes } from '../reference/network.js'

const { case: given, tensors } = readGolden('taps')
// taps.py says what is in it
const golden = given as unknown as {
  layers: Layer[]
  exponents: Record<string, number>
  fullExponents: Record<string, number>
  calls: Record<string, { shape: number[]; cotangents: string[]; wrt: string[] }>
  lossLayers: string[]
  lossWeights: number[]
}

const expected = (name: string): Float32Array => tensors.get(name) ?? new Float32Array()

/** Without Winograd, whose rounding the many ReLUs of the full width enlarge to a thousandth of the gradient of LPIPS. */
async function networkOf(
  stream: string,
  layers: readonly Layer[],
  exponents: Record<string, number>,
): Promise<Network> {
  const net = await Network.create({ layers, device: 'cpu', threads: 2, initialisation: 'none', exact: true })
  for (const { name, shape } of parameterShapes(layers)) {
    const values = formulaValues(`${stream}/${name}`, elementCount(shape), exponents[name] ?? 0)
    await net.setParameter(name, Tensor.from(values, shape))
  }
  return net
}

const narrow = () => networkOf('taps', golden.layers, golden.exponents)
const valuesOf = (name: string, shape: readonly number[], exponent: number): Tensor<'float32'> =>
  Tensor.from(formulaValues(name, elementCount(shape), exponent), [...shape])
const pixels = (name: string, shape: readonly number[]): Tensor<'float32'> =>
  Tensor.from(
    formulaValues(name, elementCount(shape), 7).map((value) => value + 128),
    [...shape],
  )

const close = { relative: 2e-5 }

describe("beside PyTorch's autograd", () => {
  test.each(Object.entries(golden.calls))('vjp: %s', async (name, { shape, cotangents, wrt }) => {
    using net = await narrow()
    const image = pixels(`taps/${name}`, shape)
    const values = await net.features(image, cotangents)
    const of = cotangents.map((at) => [at, valuesOf(`taps/${name}/${at}`, values[at]?.shape ?? [], 0)])
    const found = await net.vjp(image, Object.fromEntries(of), { wrt })
    for (const at of wrt) expectClose(at, await (found[at] as Tensor).data(), expected(`${name}/${at}`), close)
  })

  const options = { layers: golden.lossLayers, weights: golden.lossWeights }

  test.each([
    ['perceptual', perceptualLoss],
    ['gram', gramLoss],
  ] as const)('%s loss of images, and of what was computed of the other one', async (name, loss) => {
    using net = await narrow()
    const [a, b] = [pixels('taps/a', [2, 3, 31, 26]), pixels('taps/b', [2, 3, 31, 26])]
    const features = await net.features(b, golden.lossLayers)
    const kept: Record<string, Tensor<'float32'>> = {}
    for (const [layer, values] of Object.entries(features))
      kept[layer] = name === 'gram' ? await gramMatrices(values) : values
    for (const other of [b, kept]) {
      const found = await loss(net, a, other, options)
      expect(found.loss / (expected(`${name}/loss`)[0] ?? 0)).toBeCloseTo(1, 4)
      expectClose('gradient', await found.gradient.data(), expected(`${name}/gradient`), close)
    }
  })

  test('LPIPS of two pairs of images, in each range', async () => {
    const [input, ...convolutions] = golden.layers
    const mean = [0.485, 0.456, 0.406].map((value) => 255 * value)
    const scale = [0.229, 0.224, 0.225].map((value) => 1 / (255 * value))
    const layers = [
      { ...input, mean, scale } as Layer,
      ...convolutions.map((layer) => ('outputs' in layer ? { ...layer, outputs: 16 * layer.outputs } : layer)),
    ]
    using net = await networkOf('lpips', layers, golden.fullExponents)
    const [a, b] = ['a', 'b'].map((name) => valuesOf(`lpips/${name}`, [2, 3, 40, 56], 0)) as [Tensor, Tensor]
    const lpips = new Lpips(net, { range: '-1..1' })
    const found = await lpips.distance(a, b)
    expectClose('distances', found.distances, expected('lpips/distances'), { relative: 1e-5 })
    expect(found.loss).toBeCloseTo(((found.distances[0] ?? 0) + (found.distances[1] ?? 0)) / 2, 6)
    expectClose('gradient', await found.gradient.data(), expected('lpips/gradient'), { relative: 1e-4 })
    expectClose('spatial', await (await lpips.spatial(a, b)).data(), expected('lpips/spatial'), { relative: 1e-5 })
    const moved = async (tensor: Tensor, factor: number) =>
      Tensor.from(
        Float32Array.from(await tensor.data(), (value) => (value + 1) * factor),
        tensor.shape,
      )
    for (const [range, factor] of [
      ['0..1', 0.5],
      ['0..255', 127.5],
    ] as const) {
      const other = await new Lpips(net, { range }).distance(await moved(a, factor), await moved(b, factor))
      expectClose(range, other.distances, found.distances, { relative: 1e-5 })
    }
    const same = await lpips.distance(a, a)
    expect([same.loss, ...same.distances]).toEqual([0, 0, 0])
    await expect(lpips.distance(a, pixels('b', [2, 3, 40, 40]))).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  }, 120_000)
})

describe('losses of tensors', () => {
  const shapes = [
    [2, 5, 3, 7],
    [1, 18, 9, 11],
    [3, 4, 64, 65],
  ]

  /** The largest difference of a gradient from the central differences of the loss, of the largest gradient. */
  async function apart(
    loss: (x: Tensor<'float32'>) => Promise<{ loss: number; gradient: Tensor<'float32'> }>,
    x: Tensor<'float32'>,
  ) {
    const { gradient } = await loss(x)
    const [data, found] = [await x.data(), await gradient.data()]
    expect(gradient.shape).toEqual(x.shape)
    let [worst, largest] = [0, 0]
    for (let index = 0; index < data.length; index += Math.ceil(data.length / 97)) {
      const at = async (step: number) => {
        const moved = data.slice()
        moved[index] = (moved[index] ?? 0) + step
        return (await loss(Tensor.from(moved, x.shape))).loss
      }
      const slope = ((await at(2 ** -8)) - (await at(-(2 ** -8)))) / 2 ** -7
      worst = Math.max(worst, Math.abs(slope - (found[index] ?? 0)))
      largest = Math.max(largest, Math.abs(slope))
    }
    return worst / largest
  }

  test.each(shapes)('have the gradients of finite differences: %d x %d x %d x %d', async (...shape) => {
    const [n = 0, c = 0] = shape
    const [x, y] = [valuesOf('x', shape, 0), valuesOf('y', shape, 0)]
    const gram = await gramMatrices(y)
    expect(gram.shape).toEqual([n, c, c])
    for (const reduction of ['mean', 'sum'] as const) {
      expect(await apart((at) => squaredError(at, y, { reduction, weight: 3 }), x)).toBeLessThan(1e-3)
      expect(await apart((at) => gramError(at, gram, { reduction, weight: 2 }), x)).toBeLessThan(5e-3)
      // no two neighbours are so near that a step changes their order
      const steep = Tensor.from(
        Float32Array.from(await x.data(), (value, index) => value + 100 * ((index * 7) % 13)),
        shape,
      )
      expect(await apart((at) => totalVariation(at, { reduction }), steep)).toBeLessThan(1e-2)
    }
    expect((await squaredError(x, x)).loss).toBe(0)
  })

  test('Gram matrices are those of the formula', async () => {
    const shape = [2, 7, 5, 9]
    const x = valuesOf('gram', shape, 1)
    const data = await x.data()
    const found = await (await gramMatrices(x)).data()
    const wanted = Float32Array.from({ length: 2 * 49 }, (_, index) => {
      const [image, row, column] = [Math.floor(index / 49), Math.floor((index % 49) / 7), index % 7]
      const at = (channel: number, position: number) => data[(image * 7 + channel) * 45 + position] ?? 0
      return Array.from({ length: 45 }, (_, p) => at(row, p) * at(column, p)).reduce((a, b) => a + b, 0) / (7 * 45)
    })
    expectClose('gram', found, wanted, { relative: 1e-6 })
  })

  test('are the same bits with any number of calls at once', async () => {
    const [x, y] = [valuesOf('x', [1, 64, 40, 41], 0), await gramMatrices(valuesOf('y', [1, 64, 30, 30], 0))]
    const found = await Promise.all(Array.from({ length: 6 }, async () => gramError(x, y)))
    for (const { loss, gradient } of found) {
      expect(loss).toBe(found[0]?.loss)
      expect(await gradient.data()).toEqual(await found[0]?.gradient.data())
    }
  })

  test('refuse what they cannot compare', async () => {
    using net = await narrow()
    const x = pixels('x', [1, 3, 16, 16])
    const layers = ['relu1_2']
    const refused = (promise: Promise<unknown>, code: string, message: RegExp) =>
      expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    await refused(squaredError(x, pixels('y', [1, 3, 8, 8])), 'SHAPE_MISMATCH', /\[1, 3, 16, 16\] for target/)
    await refused(gramError(x, x), 'SHAPE_MISMATCH', /\[1, 3, 3\] for target/)
    await refused(totalVariation(Tensor.from(new Float32Array(4), [4])), 'SHAPE_MISMATCH', /\[n, c, h, w\] for image/)
    await refused(squaredError(x, x, { weight: Number.NaN }), 'INVALID_ARGUMENT', /weight/)
    await refused(perceptualLoss(net, x, x, { layers: [] }), 'INVALID_ARGUMENT', /at least one layer/)
    await refused(perceptualLoss(net, x, x, { layers: ['relu9_9'] }), 'INVALID_ARGUMENT', /relu9_9/)
    await refused(
      perceptualLoss(net, x, x, { layers, weights: [1, 2] }),
      'INVALID_ARGUMENT',
      /1 numbers, one for each layer/,
    )
    await refused(perceptualLoss(net, x, {}, { layers }), 'INVALID_ARGUMENT', /a tensor for 'relu1_2'/)
    await refused(perceptualLoss(net, x, pixels('y', [1, 3, 8, 8]), { layers }), 'SHAPE_MISMATCH', /for target/)
    const nan = Tensor.from((await x.data()).slice().fill(Number.NaN, 3, 4), [1, 3, 16, 16])
    await refused(perceptualLoss(net, nan, x, { layers }), 'NOT_FINITE', /row 0, column 3/)
    expect(() => new Lpips(net, { range: '0..1' })).toThrow(/no 'relu1_2' of 64 channels/)
  })
})
