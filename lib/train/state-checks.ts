import { loaderStateCheck } from '../data/loader.js'
import { figuresWithoutCells } from '../evaluate/confusion.js'
import {
  arrayOf,
  boolean,
  type Check,
  type Checks,
  finite,
  integer,
  isObject,
  nonNegative,
  objectOf,
  oneOf,
  optional,
  positive,
  text,
  unexpected,
} from '../options.js'
import { trainChecks } from './options.js'
import { scheduleCheck } from './schedule.js'

const count = integer(0)

const string: Check<string> = (value, name) => {
  if (typeof value === 'string') return value
  throw unexpected('a string', name, value)
}

const orNull =
  <T>(check: Check<T>): Check<T | null> =>
  (value, name) =>
    value === null ? null : check(value, name)

/** JSON has no NaN and no infinity: JSON.stringify writes null for them. */
const figure: Check<number | null> = (value, name) => {
  if (typeof value === 'number' || value === null) return value
  throw unexpected('a number', name, value)
}

const skipped = arrayOf(objectOf({ name: string, reason: string }))

const sums = objectOf({
  loss: finite,
  correct: count,
  images: count,
  learningRate: nonNegative,
  refused: count,
  skipped,
  skippedCount: count,
})

const metrics = {
  ...{ count, loss: figure, top1: figure, top5: figure },
  unreadable: arrayOf(objectOf({ position: optional(count), index: count, name: string, reason: string })),
}
const figures = objectOf(metrics)
const storedFigures = objectOf({ ...metrics, hasTable: optional(boolean) })

/** @param validation check of the metrics of an epoch */
const epochs = (validation: Check<unknown>): Check<unknown[]> =>
  arrayOf(
    objectOf<Checks>({
      ...{ epoch: integer(1), epochs: integer(1), steps: count, learningRate: nonNegative },
      ...{ loss: figure, accuracy: figure, validation: optional(validation) },
      ...{ skipped, skippedCount: count, refused: count },
    }),
  )

const shared = {
  step: count,
  epochsDone: count,
  trainingStep: count,
  loader: loaderStateCheck,
  schedule: objectOf({ best: figure, stale: count, drops: count, ended: boolean }),
  rateFactor: positive,
  timesBack: count,
  sums,
  best: orNull(objectOf({ accuracy: nonNegative, epoch: integer(1), step: count })),
  frozenBefore: orNull(text),
}

const facts = objectOf({
  ...{ count: integer(1), height: integer(1), width: integer(1), channels: integer(1) },
  ...{ classNames: arrayOf(string), digest: text },
})

const numbers: Check<unknown> = (value, name) => {
  if (isObject(value)) return Object.entries(value).map(([key, one]) => finite(one, `${name}.${key}`))
  throw unexpected('an object of numbers', name, value)
}

const recorded = { ...trainChecks, microBatch: orNull(integer(1)), schedule: scheduleCheck }

const fingerprint = (options: Checks) =>
  objectOf({
    network: objectOf({
      ...{ layers: text, device: text, precision: oneOf('bf16', 'tf32', 'float32') },
      ...{ deterministic: boolean, seed: count, threads: count, exact: boolean, tuning: orNull(numbers) },
      ranks: optional(integer(2)),
    }),
    data: facts,
    validation: orNull(facts),
    options: objectOf(options),
  })

const { rateFactors: rates, ...others } = recorded

/** The checks of a state in a checkpoint's header: with the first names of two keys, and without the confusion matrices. */
export const storedChecks = {
  ...shared,
  history: epochs(storedFigures),
  classes: arrayOf(string),
  conditions: fingerprint({ ...others, rates }),
}

const whole = objectOf({
  ...metrics,
  perClass: arrayOf(objectOf({ name: string, count, correct: count, accuracy: nonNegative })),
  confusion: arrayOf(arrayOf(integer(0, 2 ** 31 - 1))),
})

const evaluation: Check<unknown> = (value, name) => {
  const ours = isObject(value) ? figuresWithoutCells(value) : undefined
  return ours === undefined ? whole(value, name) : figures(ours, name)
}

/** The checks of a state that `loadTraining` returned. */
export const stateChecks = {
  ...shared,
  history: epochs(evaluation),
  fingerprint: fingerprint(recorded),
}
