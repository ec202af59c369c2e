import { Tensor } from '../../lib/tensor.js'
import { inputCases } from '../cases.js'
import { expectClose } from '../compare.js'
import { onEachDevice } from '../devices.js'
import { formulaBytes, formulaValues } from '../reference/formula.js'
import { ReferenceRun } from '../reference/network.js'
import { tensorOf } from '../reference/tensor.js'
import { expectedOf, imagesOf, networkOf, pixelsOf, referenceParameters } from './run-case.js'

const tolerance = { relative: 2e-6 }

onEachDevice('flip and colour shift', inputCases, async (device, testCase) => {
  const [images, channels] = testCase.shape
  const flip = formulaBytes(`${testCase.name}/flip`, images).map((byte) => byte & 1)
  flip[0] = 1
  const shift = formulaValues(`${testCase.name}/shift`, images * channels, 5)
  const augmentation = { flip: [...flip].map((mirrored) => mirrored === 1), shift }
  const parameters = referenceParameters(testCase)
  const { gradient } = expectedOf(testCase)
  const network = await networkOf(testCase, { device, exact: true })
  try {
    for (const { given, told } of [
      { given: { flip, shift }, told: augmentation },
      { given: { flip }, told: { flip: augmentation.flip } },
      { given: { shift }, told: { shift } },
      { given: {}, told: {} },
    ]) {
      const run = new ReferenceRun(testCase.layers, parameters, pixelsOf(testCase), { augmentation: told })
      const options = { training: true, inputGradient: true, augment: given }
      const output = await network.forward(imagesOf(testCase), options)
      expectClose(`output with ${Object.keys(given)}`, await output.data(), run.output.data, tolerance)
      const { inputGradient } = await network.backward({ gradient: Tensor.from(gradient, output.shape) })
      const expected = run.backward(tensorOf(run.output.shape, gradient)).input.data
      expectClose(`input gradient with ${Object.keys(given)}`, (await inputGradient?.data()) ?? [], expected, tolerance)
    }
  } finally {
    network.dispose()
  }
})
