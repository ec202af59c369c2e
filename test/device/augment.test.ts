import { Tensor } from '../../lib/tensor.js'
import { inputCases } from '../cases.js'
import { expectClose, gradientTolerance, outputTolerance } from '../compare.js'
import { onEachDevice, precisionOf } from '../devices.js'
import { formulaBytes, formulaValues } from '../reference/formula.js'
import { tensorOf } from '../reference/tensor.js'
import { expectedOf, imagesOf, networkOf, referenceRun } from './run-case.js'

const tolerance = { relative: 2e-6 }

onEachDevice('flip and colour shift', inputCases, async (device, testCase) => {
  const [images, channels] = testCase.shape
  const flip = formulaBytes(`${testCase.name}/flip`, images).map((byte) => byte & 1)
  flip[0] = 1
  const shift = formulaValues(`${testCase.name}/shift`, images * channels, 5)
  const whole = { flip: [...flip].map((mirrored) => mirrored === 1), shift }
  const precision = precisionOf(device)
  const { gradient } = expectedOf(testCase, precision)
  const network = await networkOf(testCase, { device, exact: true })
  try {
    for (const { given, augmentation } of [
      { given: { flip, shift }, augmentation: whole },
      { given: { flip }, augmentation: { flip: whole.flip } },
      { given: { shift }, augmentation: { shift } },
      { given: {}, augmentation: {} },
    ]) {
      const run = referenceRun(testCase, precision, { augmentation })
      const options = { training: true, inputGradient: true, augment: given }
      const output = await network.forward(imagesOf(testCase), options)
      const what = `with ${Object.keys(given)}`
      const above = outputTolerance(precision, tolerance)
      expectClose(`output ${what}`, await output.data(), run.output.data, above)
      const { inputGradient } = await network.backward({ gradient: Tensor.from(gradient, output.shape) })
      const expected = run.backward(tensorOf(run.output.shape, gradient)).input.data
      const below = gradientTolerance(precision, tolerance)
      expectClose(`input gradient ${what}`, (await inputGradient?.data()) ?? [], expected, below)
    }
  } finally {
    network.dispose()
  }
})
