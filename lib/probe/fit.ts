import { throwIfAborted } from '../error.js'
import { type LossAt, lbfgs } from '../lbfgs.js'
import { type Classifier, lossOf } from './loss.js'
import { addProducts, type Moments, productsOf, rowBlocks, type UsedRows } from './rows.js'

/** What a classifier is fitted to. */
export interface FitData extends UsedRows {
  /** The class of each row of the features, from 0 to `classes` - 1 for those that are used. */
  readonly labels: Int32Array
  /** The weight of each row of the features. */
  readonly weights: Float64Array
  readonly classes: number
  readonly moments: Moments
}

/** How a classifier is fitted. */
export interface FitOptions {
  readonly classifier: Classifier
  /** What the sum of the losses of the rows is multiplied by. */
  readonly c: number
  /** Where the search begins, such as the coefficients for another C. */
  readonly start?: Float64Array | undefined
  readonly signal?: AbortSignal | undefined
}

/** Coefficients of standardised features [outputs, columns], followed by the biases [outputs]. */
export interface Fit {
  readonly coefficients: Float64Array
  readonly converged: boolean
}

/** Outputs of a classifier: two classes need one. */
export const outputsOf = (classes: number): number => (classes === 2 ? 1 : classes)

/** Most iterations of the solver; a fit that needs more is reported. */
const iterations = 2000
/** The error of the coefficients is at most this times their length, as their penalty has curvature 1. */
const tolerance = 1e-6
/** Standardised features have coefficients far below 1 where C is small. */
const firstStep = 1e-3

/** Weights and biases of features as they are, which give the scores that the coefficients give of standardised ones. */
export function plainOf(
  coefficients: Float64Array,
  { mean, deviation }: Moments,
): { weights: Float64Array; biases: Float64Array } {
  const columns = mean.length
  const outputs = coefficients.length / (columns + 1)
  const biases = coefficients.slice(outputs * columns)
  const weights = coefficients.subarray(0, outputs * columns).map((value, index) => {
    const column = index % columns
    const weight = value / (deviation[column] ?? 1)
    const output = (index - column) / columns
    biases[output] = (biases[output] ?? 0) - weight * (mean[column] ?? 0)
    return weight
  })
  return { weights, biases }
}

/** The scores of some rows, [rows, outputs]. */
export async function scoresOf(
  data: UsedRows,
  rows: Int32Array,
  { weights, biases }: ReturnType<typeof plainOf>,
): Promise<Float64Array> {
  const scores = await productsOf(data, rows, weights)
  return scores.map((score, index) => score + (biases[index % biases.length] ?? 0))
}

/**
 * Fits a linear classifier: minimises |coefficients|^2 / 2 + C * sum of weight * loss over the rows. The bias is penalised
 * for 'svm' only, as in liblinear.
 * @throws ABORTED
 */
export async function fitted(data: FitData, options: FitOptions): Promise<Fit> {
  const size = outputsOf(data.classes) * (data.columns + 1)
  const found = await lbfgs(options.start ?? new Float64Array(size), (point) => lossAt(data, options, point), {
    iterations,
    tolerance,
    step: firstStep,
  })
  return { coefficients: found.point, converged: found.converged }
}

async function lossAt(
  data: FitData,
  { classifier, c, signal }: FitOptions,
  point: Float64Array,
): Promise<LossAt<Float64Array>> {
  const { columns, labels, weights } = data
  const { mean, deviation } = data.moments
  const plain = plainOf(point, data.moments)
  const outputs = plain.biases.length
  const rowLoss = lossOf(classifier, outputs)
  const sums = new Float64Array(outputs * columns)
  const biasSums = new Float64Array(outputs)
  let loss = 0
  for (const block of rowBlocks(data)) {
    throwIfAborted(signal, 'The probe')
    const values = await scoresOf(data, block, plain)
    block.forEach((row, position) => {
      const ofRow = values.subarray(position * outputs, (position + 1) * outputs)
      const weight = c * (weights[row] ?? 1)
      loss += weight * rowLoss(ofRow, labels[row] ?? -1)
      for (let output = 0; output < outputs; output++) {
        const value = weight * (ofRow[output] ?? 0)
        ofRow[output] = value
        biasSums[output] = (biasSums[output] ?? 0) + value
      }
    })
    await addProducts(data, block, values, sums)
  }
  const penalised = classifier === 'svm' ? point.length : outputs * columns
  const gradient = point.map((value, index) => {
    const penalty = index < penalised ? value : 0
    loss += (penalty * value) / 2
    const output = Math.floor(index / columns)
    if (index >= outputs * columns) return penalty + (biasSums[index - outputs * columns] ?? 0)
    const column = index - output * columns
    const sum = (sums[index] ?? 0) - (mean[column] ?? 0) * (biasSums[output] ?? 0)
    return penalty + sum / (deviation[column] ?? 1)
  })
  return { loss, gradient }
}
