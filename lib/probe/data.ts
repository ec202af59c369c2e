import { VggError } from '../error.js'
import { floatsOf } from '../network/arguments.js'
import { arrayOf, instanceOf, integer, isObject, optional, readOptions, text, unexpected } from '../options.js'
import { countedText } from '../table.js'
import { elementCount, type Tensor } from '../tensor.js'
import { checkFinite, type UsedRows } from './rows.js'

/** Rows of features with classes, as `readFeatures` returns them. */
export interface ProbeData {
  /** float32 [n, ...]; what follows the first axis is one row of columns. */
  readonly features: Tensor<'float32'>
  /** The class of each row, 0 to `classNames.length - 1`; -1 for rows without one, which are left out and counted. */
  readonly labels: Int32Array
  /** The name of each class. */
  readonly classNames: readonly string[]
  /** The weight of each row in training, above 0. Default 1. In accuracies, all rows count the same. */
  readonly weights?: Float64Array | undefined
  /** A group of each row, of which `validation` holds out the same share. */
  readonly strata?: readonly string[] | undefined
}

/** Checked rows: `rows` are those that have a class. */
export interface LabelledRows extends UsedRows {
  readonly labels: Int32Array
  readonly classNames: readonly string[]
  readonly weights: Float64Array
  readonly strata: readonly string[] | undefined
}

const dataChecks = {
  features: (value: unknown, name: string) => floatsOf(value, name),
  labels: instanceOf(Int32Array),
  classNames: arrayOf(text),
  weights: optional(instanceOf(Float64Array)),
  strata: optional(arrayOf(text)),
}

/**
 * Checks rows of features.
 * @param name what messages call the rows
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, NOT_FINITE
 */
export async function checkedData(data: ProbeData, name: string): Promise<LabelledRows> {
  // other fields, as of a file of features, have no part in it
  const { features, labels, classNames, weights, strata } = isObject(data) ? data : unexpectedData(data, name)
  const given = readOptions({ features, labels, classNames, weights, strata }, name, dataChecks)
  const [count = 0, ...axes] = given.features.shape
  const columns = elementCount(axes)
  if (axes.length === 0 || count * columns === 0) throw unexpected('features [n, columns]', name, features)
  for (const part of ['labels', 'weights', 'strata'] as const) {
    const length = given[part]?.length ?? count
    if (length === count) continue
    const message = `Expected ${part} for each of ${countedText(count, 'row')} of ${name} but received ${length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const checkLabel = integer(-1, given.classNames.length - 1)
  given.labels.forEach((label, row) => {
    checkLabel(label, `labels[${row}]`)
  })
  given.weights?.forEach((weight, row) => {
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY))
      throw unexpected('a number above 0', `weights[${row}]`, weight)
  })
  const rows = Int32Array.from(given.labels.keys()).filter((row) => (given.labels[row] ?? -1) >= 0)
  const all: LabelledRows = {
    features: given.features.data,
    columns,
    rows,
    labels: given.labels,
    classNames: given.classNames,
    weights: given.weights ?? new Float64Array(count).fill(1),
    strata: given.strata,
  }
  await checkFinite(all, name)
  return all
}

function unexpectedData(data: unknown, name: string): never {
  throw unexpected('features, labels and classNames', name, data)
}
