import { textLimits } from '../checkpoint/safetensors.js'
import type { Tables, TrainingRecord } from '../checkpoint/training-file.js'
import type { LoaderState } from '../data/loader.js'
import { messageOf, VggError } from '../error.js'
import { type Check, type Checks, fallbackOf, isObject, objectOf, readOptions, unexpected } from '../options.js'
import { parsedJson } from '../untrusted.js'
import type { Skipped } from './events.js'
import type { Fingerprint } from './fingerprint.js'
import { type RecordedOptions, trainTable } from './options.js'
import type { PastEpoch } from './past-epochs.js'
import type { ScheduleState } from './schedule.js'
import { stateChecks, storedChecks } from './state-checks.js'
import { encodeHistory, epochsOf, type StoredEpoch, withTable } from './stored-history.js'

/** Sums over the steps of the epoch in progress: plain data. */
export interface SumsState {
  /** Sum of the loss over the images. */
  readonly loss: number
  /** Number of images with the right class first. */
  readonly correct: number
  readonly images: number
  /** Learning rate of the last step. */
  readonly learningRate: number
  /** Number of steps that were not finite. */
  readonly refused: number
  /** Images that could not be read, the first 100. */
  readonly skipped: readonly Skipped[]
  readonly skippedCount: number
}

/** The best epoch so far. */
export interface BestEpoch {
  /** Top-1 accuracy on the validation data, 0 to 1. */
  readonly accuracy: number
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** Steps done at the end of the epoch. */
  readonly step: number
}

/** The state of a training besides the parameters and velocities of its network: plain data. */
export interface TrainingState {
  /** Number of steps done. */
  readonly step: number
  /** Number of whole epochs done, their validation and `onEpoch` included. */
  readonly epochsDone: number
  /** The network's count of training steps, from which dropout masks are drawn. */
  readonly trainingStep: number
  /** State of the loader, which determines the next batch. */
  readonly loader: LoaderState
  /** State of the learning rate schedule. @internal */
  readonly schedule: ScheduleState
  /** Factor of the learning rate from going back (`onNotFinite`). */
  readonly rateFactor: number
  /** How often the training went back (`onNotFinite`). */
  readonly timesBack: number
  /** Sums of the epoch in progress. @internal */
  readonly sums: SumsState
  /** Every whole epoch so far, without its times. */
  readonly history: readonly PastEpoch[]
  /** The epoch of the best validation accuracy; null without validation data, and before the first epoch. */
  readonly best: BestEpoch | null
  /** SHA-256 of the frozen layers before the first step; null if none are frozen. */
  readonly frozenBefore: string | null
  /** Network, data and options, which must be the same when the training is resumed. @internal */
  readonly fingerprint: Fingerprint
}

/** Check of a state that `loadTraining` returned. */
export const stateCheck: Check<TrainingState> = (value, name) => {
  if (!isObject(value) || !isObject(value.fingerprint)) {
    throw unexpected('a training state from loadTraining', name, value)
  }
  objectOf<Checks>(stateChecks)(value, name)
  return value as unknown as TrainingState
}

/**
 * The state as a checkpoint holds it. Its text keeps the first names of two keys: `conditions` for the fingerprint, and
 * `rates` for its rate factors.
 */
export function encodeState(state: TrainingState): TrainingRecord {
  const { fingerprint, ...others } = state
  const { rateFactors: rates, ...options } = fingerprint.options
  const conditions = { ...fingerprint, options: { ...options, rates } }
  const { rows: history, tables } = encodeHistory(state.history)
  // the metrics of an older epoch may be without its classes
  const classes = state.history.findLast(({ validation }) => validation)?.validation?.perClass.map(({ name }) => name)
  // JSON has no infinity
  const schedule = { ...state.schedule, best: Number.isFinite(state.schedule.best) ? state.schedule.best : null }
  return { state: JSON.stringify({ ...others, conditions, schedule, history, classes: classes ?? [] }, sorted), tables }
}

/** Sorts the keys of an object, so that equal states give equal text. */
const sorted = (_: string, value: unknown): unknown =>
  isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value

/**
 * The state that `encodeState` wrote.
 * @throws FILE_FORMAT with the path of the key
 */
export const decodeState = (text: string, tables: Tables): TrainingState =>
  valid(() => {
    const { classes, schedule, conditions, history: epochs, ...state } = stored(text)
    return {
      ...state,
      schedule: { ...schedule, best: schedule.best ?? Number.NEGATIVE_INFINITY },
      history: epochs.map((epoch) => withTable(epoch, classes, tables)),
      fingerprint: fingerprintIn(conditions),
    }
  })

/** The fingerprint in a state that `encodeState` wrote. @throws FILE_FORMAT with the path of the key */
export const decodeFingerprint = (text: string): Fingerprint =>
  valid(() => {
    const state = parsedJson(text, textLimits)
    if (!isObject(state)) throw unexpected('an object', 'the state of a training', state)
    storedChecks.conditions(state.conditions, 'conditions')
    return fingerprintIn(state.conditions as StoredState['conditions'])
  })

function valid<T>(decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `The state of the training is not valid: ${messageOf(cause)}`, { cause })
  }
}

function stored(text: string): StoredState {
  const read = parsedJson(text, textLimits)
  const state = isObject(read) ? { ...read, history: epochsOf(read.history) } : read
  readOptions(state, 'the state of a training', storedChecks)
  return state as StoredState
}

function fingerprintIn({ options: { rates: rateFactors, ...options }, ...conditions }: StoredState['conditions']) {
  return { ...conditions, options: { ...defaults, ...options, rateFactors } }
}

/** Defaults of the options, for those that older versions did not have. */
const defaults = Object.fromEntries(Object.entries(trainTable).map(([name, { check }]) => [name, fallbackOf(check)]))

/** A state as a checkpoint's header holds it. */
type StoredState = Omit<TrainingState, 'schedule' | 'history' | 'fingerprint'> & {
  readonly schedule: Omit<ScheduleState, 'best'> & { readonly best: number | null }
  readonly history: readonly StoredEpoch[]
  readonly classes: readonly string[]
  readonly conditions: Omit<Fingerprint, 'options'> & {
    readonly options: Omit<RecordedOptions, 'rateFactors'> & { readonly rates: RecordedOptions['rateFactors'] }
  }
}
