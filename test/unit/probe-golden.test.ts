// Linear classifiers against scikit-learn's, of which test/reference/probe.py says how they were fitted.
import { describe, expect, test } from 'vitest'
import { probe, Tensor } from '../../lib/index.js'
import { bestOf, crossValidated } from '../../lib/probe/cross-validation.js'
import type { Classifier } from '../../lib/probe/loss.js'
import { readGolden } from '../reference/golden.js'

const { case: given, tensors } = readGolden('probe')
const golden = given as unknown as {
  penalties: number[]
  rows: number
  chosen: Record<string, number>
  cases: Record<string, { classes: number; columns: number }>
}
const expected = (name: string): Float32Array => tensors.get(name) ?? new Float32Array()
const classNames = (classes: number): string[] => Array.from({ length: classes }, (_, index) => `class ${index}`)

const cases = Object.entries(golden.cases).flatMap(([name, sizes]) =>
  (['logistic', 'svm'] as const).map((classifier): [string, Classifier, { classes: number; columns: number }] => [
    name,
    classifier,
    sizes,
  ]),
)

const rowsOf = (name: string) => ({
  labels: Int32Array.from(expected(`${name}/labels`)),
  weights: Float64Array.from(expected(`${name}/weights`)),
})

/** The largest difference from scikit-learn, relative to its largest number. */
function distance(found: readonly number[], wanted: Float32Array): number {
  expect(found).toHaveLength(wanted.length)
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return Math.max(...found.map((value, index) => Math.abs(value - (wanted[index] ?? 0)))) / largest
}

describe.each(cases)('%s classes, %s', (name, classifier, { classes, columns }) => {
  test.each(golden.penalties)('coefficients for C = %d', async (c) => {
    const features = Tensor.from(expected(`${name}/features`), [golden.rows, columns])
    const data = { features, ...rowsOf(name), classNames: classNames(classes) }
    const { model, converged } = await probe(data, { classifier, c, standardise: true, validation: 0 })
    expect(converged).toBe(true)
    // scikit-learn has one row for two classes: its scores are those of class 1, or their difference from those of class 0
    const one = (values: Float32Array, length: number): number[] => {
      if (classes > 2) return [...values]
      const own = values.subarray(length)
      return Array.from(own, (value, index) => (classifier === 'svm' ? value : value - (values[index] ?? 0)))
    }
    const key = `${name}/${classifier}/${c}`
    expect(distance(one(await model.weight.data(), columns), expected(`${key}/coefficients`))).toBeLessThan(1e-5)
    expect(distance(one(await model.bias.data(), 1), expected(`${key}/intercepts`))).toBeLessThan(1e-4)
  })

  test('cross-validation', async () => {
    const features = expected(`${name}/features`)
    const rows = Int32Array.from({ length: golden.rows }, (_, row) => row)
    const data = { features, columns, rows, classes, ...rowsOf(name) }
    const fitting = { data, options: { classifier }, standardise: true, onFit: () => undefined }
    // the largest value takes most of the time
    const penalties = golden.penalties.slice(0, -1)
    const found = await crossValidated(fitting, penalties, Int32Array.from(expected(`${name}/folds`)))
    const accuracies = expected(`${name}/${classifier}/accuracies`)
    for (const [index, { accuracy }] of found.entries()) expect(accuracy).toBeCloseTo(accuracies[index] ?? 0, 6)
    expect(bestOf(found)).toBe(golden.chosen[`${name}/${classifier}`])
  })
})
