import {
  combinedCases,
  convolutionCases,
  type LayerCase,
  layerCases,
  linearCases,
  tileBlockCases,
  winogradCases,
} from '../cases.js'
import { gradientTolerance, outputTolerance, type Precision, type Tolerance } from '../compare.js'
import { onEachDevice, precisionOf } from '../devices.js'
import { checkCase, type Tolerances } from './run-case.js'

/** float32 sums of up to a few thousand products, relative to the largest element. */
const direct = { relative: 2e-6 }
/** Summed over images and positions, in another order on each machine. */
const directSum = { relative: 5e-6 }

const tolerancesOf = (precision: Precision, sum: Tolerance, above: Tolerance, below: Tolerance): Tolerances => ({
  output: outputTolerance(precision, above),
  inputGradient: gradientTolerance(precision, below),
  parameterGradient: gradientTolerance(precision, sum),
})

onEachDevice('layers, direct', [...layerCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, true, tolerancesOf(precisionOf(device), directSum, direct, direct)),
)

/** The gates that oneDNN sets its own Winograd; cuDNN's, where it takes it, is no further off. */
function winograd(precision: Precision, { shape: [n, , h, w] }: LayerCase): Tolerances {
  const sum = { relative: 6e-6 * Math.max(1, (0.125 * n * h * w) ** 0.4) }
  return tolerancesOf(precision, sum, { relative: 2e-5 }, { relative: 1e-5 })
}

onEachDevice('layers, Winograd', [...convolutionCases, ...combinedCases, ...winogradCases], (device, testCase) =>
  checkCase(device, testCase, false, winograd(precisionOf(device), testCase)),
)

onEachDevice(
  'layers, Winograd in blocks of tiles',
  tileBlockCases,
  (device, testCase) => checkCase(device, testCase, false, winograd(precisionOf(device), testCase)),
  ['cpu'],
)

// Single layers: after more of them a number may lie on the other side of a ReLU's edge than the reference's.
onEachDevice(
  'layers, tf32',
  [...convolutionCases, ...linearCases.filter(({ layers }) => layers.length === 2), ...winogradCases.slice(0, 4)],
  (device, testCase) => checkCase(device, testCase, true, tolerancesOf('tf32', {}, {}, {})),
  ['cuda-tf32'],
)
