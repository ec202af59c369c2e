import { VggError } from '../error.js'
import {
  arrayOf,
  type Check,
  type Checks,
  checksOf,
  integer,
  isObject,
  nonNegative,
  type OptionRow,
  objectOf,
  oneOf,
  optional,
  positive,
  unexpected,
  withDefault,
} from '../options.js'

/**
 * The learning rate over a training, as plain data and pure functions.
 *
 * - `constant`: the rate never changes.
 * - `plateau` (the paper, section 3.1): the rate is divided by `divisor` each time the validation accuracy (top-1) has
 *   not improved for `patience` epochs; instead of the drop after `drops` drops, training stops.
 * - `step`: the rate is divided by `divisor` after every `every` epochs.
 * - `milestones`: the rate is multiplied by `factor` after each number of epochs in `at`.
 * - `cosine`: the rate rises linearly over the first `warmup` epochs, then falls to 0 along half a cosine.
 */
export type Schedule =
  | { kind: 'constant' }
  | { kind: 'plateau'; patience: number; drops: number; divisor: number }
  | { kind: 'step'; every: number; divisor: number }
  | { kind: 'milestones'; at: readonly number[]; factor: number }
  | { kind: 'cosine'; warmup: number }

/**
 * A schedule as an option: a kind, or an object with a kind and parameters. `at` of `milestones` is required: rising numbers
 * of epochs. Other defaults: patience 3, or as many epochs as make 200 steps; drops 3, divisor 10, every 20, factor
 * 0.1, warmup 0.5.
 */
export type ScheduleOption =
  | Exclude<Schedule['kind'], 'milestones'>
  | { kind: 'constant' }
  | { kind: 'plateau'; patience?: number | undefined; drops?: number | undefined; divisor?: number | undefined }
  | { kind: 'step'; every?: number | undefined; divisor?: number | undefined }
  | { kind: 'milestones'; at: readonly number[]; factor?: number | undefined }
  | { kind: 'cosine'; warmup?: number | undefined }

const rising: Check<readonly number[]> = (value, name) => {
  const epochs = Array.isArray(value) ? arrayOf(integer(1))(value, name) : []
  const isRising = epochs.every((epoch, index) => index === 0 || epoch > (epochs[index - 1] ?? 0))
  if (epochs.length > 0 && isRising) return epochs
  throw unexpected('numbers of epochs in rising order, such as [30, 60] (--at 30,60),', name, value)
}

/** A schedule whose parameters are checked. Its patience, if not given, follows from the number of images. */
export type CheckedSchedule =
  | Exclude<Schedule, { kind: 'plateau' }>
  | { kind: 'plateau'; patience: number | undefined; drops: number; divisor: number }

/** The table of the schedules' parameters: checks, defaults and flags. */
export const scheduleTable = {
  patience: {
    check: optional(integer(1)),
    flag: '--patience <epochs>',
    help: 'plateau: epochs without improvement before the rate drops (default: 3, or as many as make 200 steps)',
  },
  drops: { check: withDefault(integer(0), 3), flag: '--drops <n>', help: 'plateau: number of drops of the rate' },
  divisor: {
    check: withDefault(positive, 10),
    flag: '--divisor <d>',
    help: 'plateau, step: divisor of the rate at each drop',
  },
  every: { check: withDefault(integer(1), 20), flag: '--every <epochs>', help: 'step: epochs between drops' },
  at: {
    check: rising,
    flag: '--at <epochs>',
    help: 'milestones: numbers of epochs after which the rate changes: 30,60 (default: none)',
  },
  factor: {
    check: withDefault(positive, 0.1),
    flag: '--factor <f>',
    help: 'milestones: multiplier of the rate at each',
  },
  warmup: {
    check: withDefault(nonNegative, 0.5),
    flag: '--warmup <epochs>',
    help: 'cosine: epochs in which the rate rises, 0 for none',
  },
} as const satisfies Record<string, OptionRow>

const { patience, drops, divisor, every, at, factor, warmup } = checksOf(scheduleTable)
const kinds = {
  constant: {},
  plateau: { patience, drops, divisor },
  step: { every, divisor },
  milestones: { at, factor },
  cosine: { warmup },
} as const satisfies Record<Schedule['kind'], Checks>

export const scheduleKinds = ['plateau', 'constant', 'step', 'milestones', 'cosine'] as const

const kind = oneOf(...scheduleKinds)

/** Reads a schedule: a kind, or an object with a kind and its parameters. */
export const scheduleCheck: Check<CheckedSchedule> = (value, name) => {
  if (typeof value === 'string') return scheduleCheck({ kind: value }, name)
  if (!isObject(value)) throw unexpected('a kind of schedule or an object with one', name, value)
  const { kind: given, ...rest } = value
  const known = kind(given, `${name}.kind`)
  const stray = Object.keys(rest).find((key) => !(key in kinds[known]))
  const others = scheduleKinds.filter((other) => stray !== undefined && stray in kinds[other])
  if (stray !== undefined && others.length > 0) {
    const cure = others.map((other) => `${other} (--schedule ${other})`).join(' or ')
    throw new VggError(
      'INVALID_ARGUMENT',
      `Expected no ${stray} (--${stray}) for the schedule ${known}: it is for ${cure}`,
    )
  }
  return { kind: known, ...objectOf<Checks>(kinds[known])(rest, `${name} (${known})`) } as CheckedSchedule
}

/** @throws INVALID_ARGUMENT for the schedule `plateau` without validation data */
export function checkHeldOut(schedule: CheckedSchedule | undefined, validation: object | undefined): void {
  if (schedule?.kind !== 'plateau' || validation !== undefined) return
  const message = "Expected validation data for the schedule 'plateau', which follows their accuracy, but received none"
  throw new VggError('INVALID_ARGUMENT', message)
}

/** State of a schedule between epochs: plain data. */
export interface ScheduleState {
  /** Best validation accuracy so far, 0 to 1. */
  best: number
  /** Number of epochs since the best one. */
  stale: number
  /** Number of drops of the rate so far. */
  drops: number
  /** Whether the training should end. */
  ended: boolean
}

/** State of a schedule before the first epoch. */
export function scheduleStart(): ScheduleState {
  return { best: Number.NEGATIVE_INFINITY, stale: 0, drops: 0, ended: false }
}

/**
 * The learning rate at a point of the training.
 *
 * @param base learning rate of the options
 * @param epoch epochs done, with fractions: 2.5 is the middle of the third epoch
 * @param epochs epochs of the whole training
 */
export function rateAt(schedule: Schedule, state: ScheduleState, base: number, epoch: number, epochs: number): number {
  switch (schedule.kind) {
    case 'constant':
      return base
    case 'plateau':
      return base / schedule.divisor ** state.drops
    case 'step':
      return base / schedule.divisor ** Math.floor(epoch / schedule.every)
    case 'milestones':
      return base * schedule.factor ** schedule.at.filter((milestone) => milestone <= epoch).length
    case 'cosine': {
      // A warm-up from 0 would waste the first step.
      if (epoch < schedule.warmup) return base * Math.max(epoch / schedule.warmup, 0.01)
      const share = (epoch - schedule.warmup) / Math.max(epochs - schedule.warmup, Number.EPSILON)
      return (base * (1 + Math.cos(Math.PI * Math.min(share, 1)))) / 2
    }
  }
}

/**
 * State of a schedule after an epoch.
 *
 * @param accuracy validation accuracy (top-1) of the epoch, 0 to 1; undefined without validation data
 */
export function afterEpoch(schedule: Schedule, state: ScheduleState, accuracy: number | undefined): ScheduleState {
  if (schedule.kind !== 'plateau' || accuracy === undefined) return state
  if (accuracy > state.best) return { ...state, best: accuracy, stale: 0 }
  const stale = state.stale + 1
  if (stale < schedule.patience) return { ...state, stale }
  if (state.drops === schedule.drops) return { ...state, stale, ended: true }
  return { ...state, stale: 0, drops: state.drops + 1 }
}
