import { combinedCases, convolutionCases, type LayerCase, winogradCases } from '../cases.js'
import { onEachDevice } from '../devices.js'
import { checkCase } from './run-case.js'

/** The gates that oneDNN sets its own Winograd. */
function tolerancesOf({ shape: [n, , h, w] }: LayerCase) {
  return {
    output: { relative: 2e-5 },
    inputGradient: { relative: 1e-5 },
    parameterGradient: { relative: 6e-6 * Math.max(1, (0.125 * n * h * w) ** 0.4) },
  }
}

onEachDevice('layers, Winograd', [...convolutionCases, ...combinedCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, false, tolerancesOf(testCase)),
)
