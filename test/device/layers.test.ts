import { combinedCases, convolutionCases, type LayerCase, layerCases, winogradCases } from '../cases.js'
import { onEachDevice } from '../devices.js'
import { checkCase } from './run-case.js'

/** float32 sums of up to a few thousand products, relative to the largest element. */
const direct = { relative: 2e-6 }
/** Summed over images and positions, in another order on each machine. */
const directSum = { relative: 5e-6 }

onEachDevice('layers, direct', [...layerCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, true, { output: direct, inputGradient: direct, parameterGradient: directSum }),
)

/** The gates that oneDNN sets its own Winograd. */
function winograd({ shape: [n, , h, w] }: LayerCase) {
  return {
    output: { relative: 2e-5 },
    inputGradient: { relative: 1e-5 },
    parameterGradient: { relative: 6e-6 * Math.max(1, (0.125 * n * h * w) ** 0.4) },
  }
}

onEachDevice('layers, Winograd', [...convolutionCases, ...combinedCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, false, winograd(testCase)),
)
