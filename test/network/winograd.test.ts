import { describe, expect, test } from 'vitest'
import { readImages } from '../../lib/data/batch.js'
import { describe as describePlan } from '../../lib/network/describe.js'
import type { Network } from '../../lib/network/network.js'
import { installation } from '../../lib/platform/native.js'
import { Tensor } from '../../lib/tensor.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { type LayerCase, tileBlockCases, winogradCases } from '../cases.js'
import { expectClose } from '../compare.js'
import { imagesOf, networkOf } from '../device/run-case.js'
import { formulaValues } from '../reference/formula.js'
import { netsOpened } from '../setup/opened-nets.js'
import { stripes } from '../setup/stripes.js'

// What a processor without AVX2 computes directly is compared with itself below.
const hasKernels = /avx2|avx512/.test(installation().native.buildInfo().isa)

test.runIf(hasKernels)('every convolution of VGG-16 but the first takes Winograd in all directions', () => {
  const { stages } = describePlan({
    layers: layersOf({ variant: 'D', classes: 10 }),
    shape: [2, 3, 224, 224],
    training: true,
  })
  const [first, ...others] = stages.filter(({ name }) => name.startsWith('conv')).map(({ algorithm }) => algorithm)
  expect(first).toBe('direct/-/direct')
  expect(others).toEqual(Array.from({ length: 12 }, () => 'winograd/winograd/winograd'))
})

test.runIf(hasKernels).each([...winogradCases, ...tileBlockCases])(
  'the case of the layer tests takes it too: $name',
  ({ layers, shape }) => {
    const { stages } = describePlan({ layers, shape: [...shape], training: true })
    expect(stages.find(({ name }) => name.startsWith('conv'))?.algorithm).toBe('winograd/-/winograd')
  },
)

interface Results {
  readonly output: Float32Array
  readonly inputGradient: Float32Array
  readonly weightGradient: Float32Array
}

async function resultsOf(network: Network, images: Tensor, gradient: Float32Array): Promise<Results> {
  try {
    const output = await network.forward(images, { training: true, inputGradient: true })
    const { inputGradient } = await network.backward({ gradient: Tensor.from(gradient, output.shape) })
    if (!inputGradient) throw new Error('backward gave no input gradient')
    const weightGradient = await network.gradient('conv.weight')
    const [data, input, weight] = await Promise.all([output.data(), inputGradient.data(), weightGradient.data()])
    return { output: data, inputGradient: input, weightGradient: weight }
  } finally {
    network.dispose()
  }
}

/** A case with and without Winograd, on generated images. */
async function bothWays(testCase: LayerCase, change: (pixels: Float32Array) => void) {
  const images = imagesOf(testCase)
  const pixels = Float32Array.from(await images.data())
  change(pixels)
  const [n, , h, w] = testCase.shape
  const outputs = testCase.layers.flatMap((layer) => (layer.kind === 'convolution' ? [layer.outputs] : []))[0] ?? 0
  const gradient = formulaValues('winograd/gradient', n * outputs * h * w, 0)
  const run = async (exact: boolean) =>
    resultsOf(await networkOf(testCase, { device: 'cpu', exact }), Tensor.from(pixels, images.shape), gradient)
  return { winograd: await run(false), direct: await run(true), gate: 6e-6 * Math.max(1, (0.125 * n * h * w) ** 0.4) }
}

describe('beside direct convolution, within the gates of the layer tests', () => {
  const [testCase] = winogradCases as readonly [LayerCase]

  test.each([1, 1e4, 1e-4])('images of scale %d', async (scale) => {
    const { winograd, direct, gate } = await bothWays(testCase, (pixels) => {
      for (const [index, value] of pixels.entries()) pixels[index] = value * scale
    })
    expectClose('output', winograd.output, direct.output, { relative: 2e-5 })
    expectClose('input gradient', winograd.inputGradient, direct.inputGradient, { relative: 1e-5 })
    expectClose('weight gradient', winograd.weightGradient, direct.weightGradient, { relative: gate })
  })

  // Rounding errors of a tile go by the largest number of its 6x6 inputs.
  test('one huge pixel changes only the tiles that contain it', async () => {
    const [, , h, w] = testCase.shape
    const at = { y: 14, x: 14 }
    const { winograd, direct, gate } = await bothWays(testCase, (pixels) => {
      pixels[at.y * w + at.x] = 1e6
    })
    expectClose('output', winograd.output, direct.output, { relative: 2e-5 })
    expectClose('weight gradient', winograd.weightGradient, direct.weightGradient, { relative: gate })
    const far = (values: Float32Array) =>
      values.filter((_, index) => {
        const [y, x] = [Math.floor(index / w) % h, index % w]
        return Math.max(Math.abs(y - at.y), Math.abs(x - at.x)) > 5
      })
    expectClose('output elsewhere', far(winograd.output), far(direct.output), { relative: 2e-5 })
  })
})

const openOn = netsOpened()

test.runIf(hasKernels)('ten steps of training: each loss within 1e-4 of that by direct convolution', async () => {
  const { images, labels } = await readImages(
    stripes(16, 1),
    Int32Array.from({ length: 16 }, (_, index) => index),
  )
  const losses = async (exact: boolean) => {
    const net = await openOn('cpu')({ exact, dropout: 0, width: 0.25 })
    const found: number[] = []
    for (let step = 0; step < 10; step++) {
      found.push((await net.step(images, [...labels], { learningRate: 0.005, momentum: 0.9, weightDecay: 5e-4 })).loss)
    }
    return found
  }
  const [winograd, direct] = [await losses(false), await losses(true)]
  expect(direct.at(-1)).toBeLessThan(direct[0] ?? 0)
  expect(winograd).not.toEqual(direct)
  expectClose('losses', winograd, direct, { relative: 1e-4 })
})
