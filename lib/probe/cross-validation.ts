import { type Fit, type FitData, type FitOptions, fitted, plainOf, scoresOf } from './fit.js'
import { momentsOf, noMoments, rowBlocks } from './rows.js'

/** A value of C, and how well it did in the cross-validation. */
export interface TriedC {
  /** The value of C. */
  readonly c: number
  /** Mean of `accuracies`. */
  readonly accuracy: number
  /** Accuracy on each fold, of the classifier that was fitted to the others. */
  readonly accuracies: readonly number[]
}

/** What is fitted, and how, but for C and the moments. */
export interface Fitting {
  readonly data: Omit<FitData, 'moments'>
  readonly options: Omit<FitOptions, 'c' | 'start'>
  readonly standardise: boolean
  /** Called after each fit. */
  readonly onFit: () => void | Promise<void>
}

/** Fits a classifier to the rows, with their own moments. */
export const fitter = async ({ data, options, standardise, onFit }: Fitting) => {
  const complete: FitData = { ...data, moments: await (standardise ? momentsOf(data) : noMoments(data.columns)) }
  return {
    data: complete,
    fitAt: async (c: number, start?: Float64Array): Promise<Fit> => {
      const fit = await fitted(complete, { ...options, c, start })
      await onFit()
      return fit
    },
  }
}

/**
 * Cross-validates each value of C.
 * @param values in ascending order: each classifier is fitted from the coefficients of the one before
 * @param folds the fold of each of `data.rows`
 */
export async function crossValidated(
  fitting: Fitting,
  values: readonly number[],
  folds: Int32Array,
): Promise<TriedC[]> {
  const { rows } = fitting.data
  const accuracies = values.map((): number[] => [])
  const count = folds.reduce((most, fold) => Math.max(most, fold), 0) + 1
  for (let fold = 0; fold < count; fold++) {
    const others = rows.filter((_, position) => folds[position] !== fold)
    const own = rows.filter((_, position) => folds[position] === fold)
    const { data, fitAt } = await fitter({ ...fitting, data: { ...fitting.data, rows: others } })
    let start: Float64Array | undefined
    for (const [index, c] of values.entries()) {
      const found = await fitAt(c, start)
      start = found.coefficients
      accuracies[index]?.push(await shareRight({ ...data, rows: own }, found))
    }
  }
  return values.map((c, index) => {
    const found = accuracies[index] ?? []
    return { c, accuracy: found.reduce((sum, one) => sum + one, 0) / found.length, accuracies: found }
  })
}

/** The share of the rows whose class has the highest score. */
async function shareRight(data: FitData, { coefficients }: Fit): Promise<number> {
  const plain = plainOf(coefficients, data.moments)
  const outputs = plain.biases.length
  let right = 0
  for (const block of rowBlocks(data)) {
    const scores = await scoresOf(data, block, plain)
    block.forEach((row, position) => {
      const own = scores.subarray(position * outputs, (position + 1) * outputs)
      const [score = 0] = own
      const answer = outputs === 1 ? Number(score > 0) : own.indexOf(own.reduce((most, one) => Math.max(most, one)))
      if (answer === data.labels[row]) right += 1
    })
  }
  return right / data.rows.length
}

/** The value of C with the highest accuracy, the least of equals. */
export const bestOf = (tried: readonly TriedC[]): number =>
  tried.reduce((best, one) => (one.accuracy > best.accuracy ? one : best)).c
