import { expect } from 'vitest'
import { tensorNames } from '../../lib/layer.js'
import { Tensor } from '../../lib/tensor.js'
import { combinedCases, type LayerCase } from '../cases.js'
import { expectClose, gradientTolerance, outputTolerance } from '../compare.js'
import { onEachDevice, precisionOf, type TestDevice } from '../devices.js'
import { formulaValues } from '../reference/formula.js'
import { tensorOf } from '../reference/tensor.js'
import { expectedOf, expectGradients, imagesOf, networkOf, referenceRun } from './run-case.js'

const tolerance = { relative: 2e-6 }

onEachDevice('features', combinedCases, async (device, testCase) => {
  const names = tensorNames(testCase.layers)
  const precision = precisionOf(device)
  const above = outputTolerance(precision, tolerance)
  const { run } = expectedOf(testCase, precision)
  const network = await networkOf(testCase, { device, exact: true })
  try {
    // all at once, and one by one: each set of taps has another plan
    for (const taps of [names, ...names.map((name) => [name])]) {
      const features = await network.features(imagesOf(testCase), taps)
      expect(Object.keys(features).sort()).toEqual([...taps].sort())
      for (const name of taps)
        expectClose(`${name} among ${taps}`, await features[name].data(), run.tensor(name).data, above)
    }
  } finally {
    network.dispose()
  }
})

onEachDevice('gradients injected at one tensor', combinedCases, async (device, testCase) => {
  for (const name of tensorNames(testCase.layers)) await checkInjection(device, testCase, [name])
})

onEachDevice('gradients injected at all tensors', combinedCases, (device, testCase) =>
  checkInjection(device, testCase, tensorNames(testCase.layers)),
)

async function checkInjection(device: TestDevice, testCase: LayerCase, names: readonly string[]): Promise<void> {
  const precision = precisionOf(device)
  const below = gradientTolerance(precision, tolerance)
  const run = referenceRun(testCase, precision)
  const injected = names.map((name) => {
    const { shape, data } = run.tensor(name)
    return [name, { shape, data: formulaValues(`${testCase.name}/inject/${name}`, data.length, 0) }] as const
  })
  const { gradient } = expectedOf(testCase, precision)
  const expected = run.backward(
    tensorOf(run.output.shape, gradient),
    new Map(injected.map(([name, { shape, data }]) => [name, tensorOf(shape, data)])),
  )
  const network = await networkOf(testCase, { device, exact: true })
  try {
    const options = { training: true, inputGradient: true }
    const features = await network.features(imagesOf(testCase), names, options)
    const inject = Object.fromEntries(
      injected.map(([name, { data }]) => [name, Tensor.from(data, features[name].shape)]),
    )
    const [n, c, h, w] = run.output.shape
    const linear = testCase.layers.some(({ kind }) => kind === 'linear')
    const top = Tensor.from(gradient, linear && h * w === 1 ? [n, c] : [n, c, h, w])
    const { inputGradient } = await network.backward({ gradient: top }, { inject })
    expectClose(`input gradient, ${names}`, (await inputGradient?.data()) ?? [], expected.input.data, below)
    await expectGradients(network, expected.parameters, below)
  } finally {
    network.dispose()
  }
}
