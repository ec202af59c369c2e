import { VggError } from '../error.js'
import { type ClassResult, cellsOf, withConfusion } from '../evaluate/confusion.js'
import { Tally } from '../evaluate/metrics.js'
import { lbfgsArrays } from '../lbfgs.js'
import { readOptions } from '../options.js'
import { bestOf, crossValidated, type Fitting, fitter, type TriedC } from './cross-validation.js'
import { checkedData, type LabelledRows, type ProbeData } from './data.js'
import { outputsOf } from './fit.js'
import { modelOf, modelScores, type ProbeModel } from './model.js'
import { type ProbeOptions, probeChecks } from './options.js'
import { classesOf, divided, foldsOf, type Parts, relabelled, withoutRows } from './parts.js'
import { checkMemory, rowBlocks, type UsedRows } from './rows.js'

/** How many of some rows a linear classifier has right. */
export interface ProbeAccuracy {
  /** Number of rows. */
  readonly count: number
  /** Share of the rows whose class has the highest score, 0 to 1. */
  readonly accuracy: number
  /** Results of each class. */
  readonly perClass: readonly ClassResult[]
  /** `confusion[truth][predicted]` is a number of rows. */
  readonly confusion: readonly (readonly number[])[]
}

/** What `probe` found. */
export interface ProbeResult {
  /** The classifier, fitted to all rows for training. */
  readonly model: ProbeModel
  /** The cross-validation of each value of C; empty if only one was given. */
  readonly tried: readonly TriedC[]
  /** Whether the solver reached its tolerance; if not, a smaller C, or `standardise`, will help. */
  readonly converged: boolean
  /** Results on the rows for training. */
  readonly training: ProbeAccuracy
  /** Results on the rows that are held out; absent if there are none. */
  readonly heldOut?: ProbeAccuracy
  /** Number of rows without a class, which were left out. */
  readonly unlabelled: number
}

/**
 * Fits a linear classifier to features: logistic regression or a linear support vector machine, with L2 penalty and weights of the
 * rows, as scikit-learn's `LogisticRegression` and `LinearSVC(loss='squared_hinge', dual=False)`. Coefficients are exact to 1e-6 of
 * their length, and do not depend on the number of threads. Computes off the event loop. The features must not change meanwhile.
 * Beside them, about 34 float64 arrays are held that are as long as the coefficients.
 * @throws INVALID_ARGUMENT also for rows of one class only, for a class that is only held out, and for a class with fewer rows than
 *   folds; SHAPE_MISMATCH, NOT_FINITE, OUT_OF_MEMORY, ABORTED
 */
export async function probe(data: ProbeData, options: ProbeOptions = {}): Promise<ProbeResult> {
  const { c: values, onProgress, ...given } = readOptions(options, 'probe options', probeChecks)
  const all = await checkedData(data, 'the features')
  const test = given.test === undefined ? undefined : await checkedData(given.test as ProbeData, 'test')
  const { training, heldOut: others } = partsOf(all, test, given)
  const { names, numbers } = classesOf(training)
  const size = outputsOf(names.length) * (all.columns + 1)
  checkMemory((lbfgsArrays + 6) * size, `${size} coefficients`)
  const heldOut = others && { ...others, labels: relabelled(others, names) }

  const fits = values.length === 1 ? 1 : values.length * given.folds + 1
  let done = 0
  const fitting: Fitting = {
    data: { ...training, labels: training.labels.map((label) => numbers[label] ?? -1), classes: names.length },
    options: { classifier: given.classifier, signal: given.signal },
    standardise: given.standardise,
    onFit: () => onProgress?.({ done: ++done, of: fits }),
  }
  const folds = () => foldsOf({ ...fitting.data, classNames: names }, given.folds, given.seed)
  const tried = values.length === 1 ? [] : await crossValidated(fitting, values, folds())
  const c = tried.length === 0 ? (values[0] ?? 1) : bestOf(tried)
  const { data: of, fitAt } = await fitter(fitting)
  const { coefficients, converged } = await fitAt(c)
  const model = modelOf(coefficients, of.moments, { classifier: given.classifier, c, classNames: names })
  return {
    model,
    tried,
    converged,
    training: await accuracyOf(model, of),
    ...(heldOut && { heldOut: await accuracyOf(model, heldOut) }),
    unlabelled: unlabelledOf(all) + (test ? unlabelledOf(test) : 0),
  }
}

type Division = { validation: number | undefined; heldOut: Int32Array | undefined; seed: number }

function partsOf(all: LabelledRows, test: LabelledRows | undefined, { validation, heldOut, seed }: Division): Parts {
  if ([validation, heldOut, test].filter((way) => way !== undefined).length > 1)
    throw new VggError('INVALID_ARGUMENT', 'Expected only one of validation, heldOut and test')
  if (test !== undefined) {
    if (test.columns === all.columns) return { training: all, heldOut: test }
    const message = `Expected ${all.columns} columns for test, as the features have, but received ${test.columns}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return heldOut === undefined ? divided(all, validation ?? 0.25, seed) : withoutRows(all, heldOut)
}

const unlabelledOf = ({ rows, labels }: LabelledRows): number => labels.length - rows.length

async function accuracyOf(model: ProbeModel, data: UsedRows & { readonly labels: Int32Array }): Promise<ProbeAccuracy> {
  const tally = new Tally(model.classNames)
  for (const block of rowBlocks(data))
    tally.add(
      await modelScores(model, data, block),
      block.map((row) => data.labels[row] ?? 0),
    )
  const metrics = tally.metrics()
  return withConfusion({ count: metrics.count, accuracy: metrics.top1 }, model.classNames, cellsOf(metrics))
}
