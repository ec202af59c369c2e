import {
  arrayOf,
  type Callback,
  type Check,
  callback,
  checksOf,
  fraction,
  instanceOf,
  integer,
  oneOf,
  optional,
  positive,
  seed,
  boolean as truth,
  unexpected,
  withDefault,
} from '../options.js'
import type { ProbeData } from './data.js'
import { type Classifier, classifiers } from './loss.js'

/** The values of C that are tried by default. */
const triedByDefault = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10]

/** One number, or several, in ascending order and each once. */
const penalties: Check<number[]> = (value, name) => {
  const given = Array.isArray(value) ? arrayOf(positive)(value, name) : [positive(value, name)]
  if (given.length === 0) throw unexpected('at least one number', name, value)
  return [...new Set(given)].sort((a, b) => a - b)
}

/** Progress of `probe`. */
export interface ProbeProgress {
  /** Number of fits done. */
  readonly done: number
  /** Number of fits in all: one for each fold and value of C, and the last one. */
  readonly of: number
}

/** Options of `probe`. */
export interface ProbeOptions {
  /**
   * Logistic regression ('logistic', multinomial for more than two classes), or a linear support vector machine with squared
   * hinge loss, each class against the others ('svm'). Default 'logistic'.
   */
  classifier?: Classifier | undefined
  /** Whether each column is standardised, by mean and deviation of the rows that a classifier is fitted to. Default false. */
  standardise?: boolean | undefined
  /**
   * The factor of the losses beside the penalty |weight|^2 / 2, as scikit-learn's C; of several, cross-validation on the rows for
   * training chooses the one with the highest mean accuracy, the least of equals. Default 1e-5 to 10 in steps of 10.
   */
  c?: number | readonly number[] | undefined
  /** Number of folds of the cross-validation, stratified by class, 2 to 100. Default 5. */
  folds?: number | undefined
  /**
   * Share of the rows that is held out, 0 to below 1, stratified by class and by `strata`. Default 0.25, or 0 with `heldOut` or
   * `test`.
   */
  validation?: number | undefined
  /** Indices of the rows that are held out, instead of `validation`. */
  heldOut?: Int32Array | undefined
  /** Other rows that are held out, instead of `validation`. Their classes are found by name. */
  test?: ProbeData | undefined
  /** Seed of the random division and of the folds. Default 0. */
  seed?: number | undefined
  /** Ends the call with ABORTED. */
  signal?: AbortSignal | undefined
  /** Called after each fit. */
  onProgress?: Callback<[progress: ProbeProgress]> | undefined
}

/** The options that commands have flags for. */
export const probeTable = {
  classifier: {
    check: withDefault(oneOf(...classifiers), 'logistic'),
    flag: '--classifier <name>',
    help: 'logistic regression, or a linear support vector machine with squared hinge loss',
    choices: classifiers,
  },
  standardise: {
    check: withDefault(truth, false),
    flag: '--standardise',
    help: 'subtract the mean of each column, and divide by its standard deviation',
  },
  c: {
    check: withDefault(penalties, triedByDefault),
    flag: '--c <numbers>',
    help: 'factor of the losses beside the L2 penalty, as in scikit-learn; of several, cross-validation chooses (default: 1e-5 to 10)',
  },
  folds: { check: withDefault(integer(2, 100), 5), flag: '--folds <n>', help: 'folds of the cross-validation' },
  validation: {
    check: optional(fraction),
    flag: '--split <share>',
    help: 'share of the rows that is held out (default: 0.25; none with --test, or a column part of --samples)',
  },
  seed: { check: withDefault(seed, 0), flag: '--seed <n>', help: 'seed of the random division and of the folds' },
}

/** Checks of {@link ProbeOptions}; those of rows are in data.ts. */
export const probeChecks = {
  ...checksOf(probeTable),
  heldOut: optional(instanceOf(Int32Array)),
  test: (value: unknown): unknown => value,
  signal: optional(instanceOf(AbortSignal)),
  onProgress: optional(callback<NonNullable<ProbeOptions['onProgress']>>()),
}
