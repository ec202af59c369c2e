import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import type { LayerCase } from '../cases.js'
import { expectClose, type Precision, type Tolerance } from '../compare.js'
import { opening, precisionOf, type TestDevice } from '../devices.js'
import { formulaBytes, formulaValues } from '../reference/formula.js'
import { imagesToTensor } from '../reference/input.js'
import { type Gradients, parameterShapes, ReferenceRun, type RunOptions } from '../reference/network.js'
import { roundingOf } from '../reference/rounding.js'
import { elementCount, type Tensor64, tensorOf } from '../reference/tensor.js'

export interface Tolerances {
  readonly output: Tolerance
  readonly inputGradient: Tolerance
  readonly parameterGradient: Tolerance
}

export interface Expected {
  readonly run: ReferenceRun
  /** Given from above, of the output's shape. */
  readonly gradient: Float32Array
  readonly gradients: Gradients
}

/** Runs a case forward and backward on a device and compares everything with the float64 reference. */
export async function checkCase(
  device: TestDevice,
  testCase: LayerCase,
  exact: boolean,
  tolerances: Tolerances,
): Promise<void> {
  const expected = expectedOf(testCase, precisionOf(device))
  const network = await networkOf(testCase, { device, exact })
  try {
    const images = imagesOf(testCase)
    const evaluated = await network.forward(images)
    expectClose('output in evaluation', await evaluated.data(), expected.run.output.data, tolerances.output)
    const output = await network.forward(images, { training: true, inputGradient: true })
    expectClose('output in training', await output.data(), expected.run.output.data, tolerances.output)
    expectShape(output, expected.run.output)

    const gradient = Tensor.from(expected.gradient, output.shape)
    const { inputGradient } = await network.backward({ gradient })
    if (!inputGradient) throw new Error('backward gave no input gradient')
    expectShape(inputGradient, expected.gradients.input)
    expectClose('input gradient', await inputGradient.data(), expected.gradients.input.data, tolerances.inputGradient)
    await expectGradients(network, expected.gradients.parameters, tolerances.parameterGradient)
  } finally {
    network.dispose()
  }
}

/** Compares every gradient that the network holds, by name. */
export async function expectGradients(
  network: Network,
  expected: ReadonlyMap<string, Float64Array>,
  tolerance: Tolerance,
): Promise<void> {
  for (const [name, values] of expected) {
    const actual = await network.gradient(name)
    expectClose(`gradient of ${name}`, await actual.data(), values, tolerance)
  }
}

export async function networkOf(
  testCase: LayerCase,
  { device, ...options }: { device: TestDevice; exact: boolean; seed?: number; deterministic?: boolean },
): Promise<Network> {
  const run = { ...opening[device], threads: 2, initialisation: 'none', ...options } as const
  const network = await Network.create({ layers: testCase.layers, ...run })
  for (const { name, shape } of parameterShapes(testCase.layers))
    await network.setParameter(name, Tensor.from(parameterOf(testCase, name, shape), shape))
  return network
}

export function imagesOf({ name, shape: [n, c, h, w], pixels }: LayerCase): Tensor {
  const count = n * c * h * w
  if (pixels === 'uint8') return Tensor.from(formulaBytes(`${name}/images`, count), [n, h, w, c])
  return Tensor.from(formulaValues(`${name}/images`, count, 0), [n, c, h, w])
}

export function pixelsOf({ name, shape, pixels }: LayerCase): Tensor64 {
  const count = elementCount(shape)
  if (pixels === 'uint8') return imagesToTensor(formulaBytes(`${name}/images`, count), shape)
  return tensorOf(shape, formulaValues(`${name}/images`, count, 0))
}

export function referenceParameters(testCase: LayerCase): Map<string, Float64Array> {
  const shapes = parameterShapes(testCase.layers)
  return new Map(shapes.map(({ name, shape }) => [name, Float64Array.from(parameterOf(testCase, name, shape))]))
}

const cache = new Map<string, Expected>()

/** What the reference says; computed once for all devices and modes. */
export function expectedOf(testCase: LayerCase, precision: Precision): Expected {
  const key = `${precision} ${testCase.name}`
  const known = cache.get(key)
  if (known) return known
  const run = referenceRun(testCase, precision)
  const gradient = gradientFor(testCase, run, precision)
  const expected = { run, gradient, gradients: run.backward(tensorOf(run.output.shape, gradient)) }
  cache.set(key, expected)
  return expected
}

/** One run of the reference, in evaluation without options. */
export function referenceRun(testCase: LayerCase, precision: Precision, options: RunOptions = {}): ReferenceRun {
  const rounding = roundingOf(precision)
  return new ReferenceRun(testCase.layers, referenceParameters(testCase), pixelsOf(testCase), { rounding, ...options })
}

/** Of the largest value: so near to a ReLU's edge rounding may carry a number over it. */
const edges: Readonly<Record<Precision, number>> = { float32: 1e-4, tf32: 2e-2, bf16: 1e-3 }

/** Zero where the last ReLU stands so near its edge that rounding decides on which side it is. */
function gradientFor({ name, layers }: LayerCase, run: ReferenceRun, precision: Precision): Float32Array {
  const gradient = formulaValues(`${name}/gradient`, run.output.data.length, 0)
  const last = layers.at(-1)
  if (!last || !('relu' in last) || !last.relu) return gradient
  const before = run.tensor(last.name).data
  const edge = before.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) * edges[precision]
  return gradient.map((value, i) => (Math.abs(before[i]) < edge ? 0 : value))
}

/** The carrier is the identity; other weights have He's scale. */
function parameterOf(testCase: LayerCase, name: string, shape: readonly number[]): Float32Array {
  const count = elementCount(shape)
  if (name === 'carrier.bias') return new Float32Array(count)
  if (name === 'carrier.weight') return new Float32Array(count).map((_, i) => (i % (shape[0] + 1) === 0 ? 1 : 0))
  const fanIn = count / shape[0]
  const exponent = name.endsWith('.bias') ? -2 : Math.round(Math.log2(Math.sqrt(6 / fanIn)))
  return formulaValues(`${testCase.name}/${name}`, count, exponent)
}

/** One position of a linear layer is a vector for the user. */
function expectShape(actual: Tensor, { shape }: Tensor64): void {
  const flat = shape[2] * shape[3] === 1 ? shape.slice(0, 2) : shape
  const text = actual.shape.join()
  if (text !== shape.join() && text !== flat.join()) throw new Error(`Expected shape [${shape}] but received [${text}]`)
}
