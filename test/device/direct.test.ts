import { layerCases, winogradCases } from '../cases.js'
import { onEachDevice } from '../devices.js'
import { checkCase } from './run-case.js'

/** float32 sums of up to a few thousand products, relative to the largest element. */
const tolerance = { relative: 2e-6 }

onEachDevice('layers, direct', [...layerCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, true, {
    output: tolerance,
    inputGradient: tolerance,
    parameterGradient: tolerance,
  }),
)
