import { expect } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import { dropoutCases, type LayerCase } from '../cases.js'
import { expectClose, expectEqual, gradientTolerance, outputTolerance } from '../compare.js'
import { onEachDevice, precisionOf } from '../devices.js'
import { type DropoutKey, dropoutMask } from '../reference/dropout.js'
import { tensorOf } from '../reference/tensor.js'
import { expectedOf, expectGradients, imagesOf, networkOf, referenceRun } from './run-case.js'

const tolerance = { relative: 2e-6 }

/** Small, and with bits in the upper words of seed and step. */
const keys: readonly DropoutKey[] = [
  { seed: 0, step: 0 },
  { seed: 7, step: 3, firstImage: 250 },
  { seed: 5 * 2 ** 32 + 1, step: 3 * 2 ** 32 + 2 },
]

onEachDevice('dropout masks equal the reference bit for bit', dropoutCases, async (device, testCase) => {
  const { layers } = testCase
  const last = layers.at(-1)
  if (last?.kind !== 'linear' || !last.dropout) throw new Error('the case does not end in dropout')
  const stream = layers.filter((layer) => 'dropout' in layer).length - 1
  const precision = precisionOf(device)
  const { run } = expectedOf(testCase, precision)
  for (const key of keys) {
    const network = await networkOf(testCase, { device, exact: true, seed: key.seed })
    try {
      // the last layer gives ones: what comes out is the mask
      const [weight, bias] = network.parameters.slice(-2)
      await network.setParameter(weight.name, Tensor.zeros(weight.shape))
      await network.setParameter(bias.name, Tensor.from(new Float32Array(bias.count).fill(1), bias.shape))
      await network.setTrainingStep(key.step)
      const options = { training: true, firstImage: key.firstImage ?? 0 }
      const mask = await (await network.forward(imagesOf(testCase), options)).data()
      const expected = dropoutMask(run.output.shape, last.dropout, stream, key).data
      expectEqual('kept', [...mask].map(Math.sign), [...expected].map(Math.sign))
      expectClose('factors', mask, expected, outputTolerance(precision, tolerance))
      const evaluated = await (await network.forward(imagesOf(testCase))).data()
      expectEqual(
        'in evaluation',
        evaluated,
        evaluated.map(() => 1),
      )
    } finally {
      network.dispose()
    }
  }
})

onEachDevice('dropout forward and backward', dropoutCases, async (device, testCase) => {
  const precision = precisionOf(device)
  const [above, below] = [outputTolerance(precision, tolerance), gradientTolerance(precision, tolerance)]
  for (const keep of tapsOf(testCase)) {
    const key = { seed: 11, step: 4, firstImage: 2 }
    const run = referenceRun(testCase, precision, { dropout: key })
    const { gradient } = expectedOf(testCase, precision)
    const expected = run.backward(tensorOf(run.output.shape, gradient))
    const network = await networkOf(testCase, { device, exact: true, seed: key.seed })
    try {
      await network.setTrainingStep(key.step)
      const options = { training: true, inputGradient: true, firstImage: 2, keep }
      const output = await network.forward(imagesOf(testCase), options)
      expectClose(`output, keeping ${keep}`, await output.data(), run.output.data, above)
      const { inputGradient } = await network.backward({ gradient: Tensor.from(gradient, output.shape) })
      expect(inputGradient).toBeDefined()
      expectClose('input gradient', (await inputGradient?.data()) ?? [], expected.input.data, below)
      await expectGradients(network, expected.parameters, below)
    } finally {
      network.dispose()
    }
  }
})

/** Taps on either side of a ReLU that is otherwise joined to its dropout. */
function tapsOf({ layers }: LayerCase): string[][] {
  const last = layers.at(-1)
  if (last?.kind !== 'linear') return [[]]
  return [[], [last.name], ...(last.relu ? [[last.relu], [last.name, last.relu]] : [])]
}
