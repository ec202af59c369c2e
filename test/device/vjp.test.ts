// Vector-Jacobian products at every tensor of small networks, against the float64 reference.
import { expect } from 'vitest'
import { tensorNames } from '../../lib/layer.js'
import { Tensor } from '../../lib/tensor.js'
import { combinedCases, type LayerCase } from '../cases.js'
import { expectClose, gradientTolerance } from '../compare.js'
import { onEachDevice, precisionOf, type TestDevice } from '../devices.js'
import { formulaValues } from '../reference/formula.js'
import { type Tensor64, tensorOf } from '../reference/tensor.js'
import { imagesOf, networkOf, referenceRun } from './run-case.js'

const tolerance = { relative: 2e-6 }

onEachDevice(
  'the gradients of each tensor and the images from cotangents at all of them',
  combinedCases,
  (device, one) => check(device, one, { from: tensorNames(one.layers), wrt: ['image', ...tensorNames(one.layers)] }),
)

onEachDevice('the gradients of each tensor below the only cotangent', combinedCases, async (device, one) => {
  const names = tensorNames(one.layers)
  // each has another plan, with other stages joined
  for (const [index, name] of names.entries())
    await check(device, one, { from: [name], wrt: ['image', ...names.slice(0, index + 1)] })
})

onEachDevice('the gradient of each tensor alone', combinedCases, async (device, one) => {
  const names = tensorNames(one.layers)
  for (const name of ['image', ...names]) await check(device, one, { from: names.slice(-1), wrt: [name] })
})

onEachDevice('guided gradients', combinedCases, (device, one) =>
  check(device, one, { from: tensorNames(one.layers), wrt: ['image', ...tensorNames(one.layers)], guided: true }),
)

interface Asked {
  readonly from: readonly string[]
  readonly wrt: readonly string[]
  readonly guided?: boolean
}

async function check(device: TestDevice, testCase: LayerCase, { from, wrt, guided = false }: Asked): Promise<void> {
  const precision = precisionOf(device)
  const run = referenceRun(testCase, precision)
  const injected = new Map<string, Tensor64>(
    from.map((name) => {
      const { shape, data } = run.tensor(name)
      return [name, tensorOf(shape, formulaValues(`${testCase.name}/vjp/${name}`, data.length, 0))]
    }),
  )
  const none = tensorOf(run.output.shape, new Float64Array(run.output.data.length))
  const expected = run.backward(none, injected, { guided })
  const network = await networkOf(testCase, { device, exact: true })
  try {
    const shapes = await network.features(imagesOf(testCase), from)
    const cotangents = Object.fromEntries(
      [...injected].map(([name, { data }]) => [name, Tensor.from(Float32Array.from(data), shapes[name].shape)]),
    )
    const found = await network.vjp(imagesOf(testCase), cotangents, { wrt, guided })
    expect(Object.keys(found)).toEqual([...wrt])
    for (const name of wrt) {
      const values = name === 'image' ? expected.input : expected.tensors.get(name)
      const below = gradientTolerance(precision, tolerance)
      expectClose(`${name} of ${wrt} from ${from}`, await found[name].data(), values?.data ?? [], below)
    }
    // the rows of the images, one by one
    const parts = await network.vjp(imagesOf(testCase), cotangents, { wrt, guided, microBatch: 1 })
    for (const name of wrt) {
      expect(parts[name].shape).toEqual(found[name].shape)
      expectClose(
        `${name} in parts`,
        await parts[name].data(),
        await found[name].data(),
        gradientTolerance(precision, tolerance),
      )
    }
  } finally {
    network.dispose()
  }
}
