import { getHeapStatistics } from 'node:v8'
import type { Tables, TrainingRecord } from '../checkpoint/training-file.js'
import type { LoaderState } from '../data/loader.js'
import { messageOf, VggError } from '../error.js'
import type { Evaluation } from '../evaluate/evaluate.js'
import type { ClassResult } from '../evaluate/metrics.js'
import { type Check, integer, isObject, positive, readOptions, unexpected } from '../options.js'
import type { SumsState } from './epoch-sums.js'
import type { EpochEvent } from './events.js'
import type { Fingerprint } from './fingerprint.js'
import type { ScheduleState } from './schedule.js'

/** A finished epoch without its times. */
export type PastEpoch = Omit<EpochEvent, 'imagesPerSecond' | 'seconds'>

/** The best epoch so far. */
export interface BestEpoch {
  /** Top-1 on the validation data, 0 to 1. */
  readonly accuracy: number
  /** Its number, from 1. */
  readonly epoch: number
  /** Steps done after it. */
  readonly step: number
}

/** Where a training stands, besides the parameters and velocities of its network: plain data. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number
  /** Whole epochs done, their validation and `onEpoch` included. */
  readonly epochsDone: number
  /** Of the network: what dropout is drawn by. */
  readonly trainingStep: number
  /** Where reading stands: what the next batch is. */
  readonly loader: LoaderState
  /** What the schedule remembers. @internal */
  readonly schedule: ScheduleState
  /** What going back has made of the rate, and how often. */
  readonly rateFactor: number
  /** How often the training went back (`onNotFinite`). */
  readonly timesBack: number
  /** Of the epoch under way. @internal */
  readonly sums: SumsState
  /** Every whole epoch so far, without its times. */
  readonly history: readonly PastEpoch[]
  /** The epoch of the best validation accuracy; null without validation data, and before the first one. */
  readonly best: BestEpoch | null
  /** SHA-256 of the frozen layers before the first step; null where none are frozen. */
  readonly frozenBefore: string | null
  /** What must be the same when it is resumed. @internal */
  readonly conditions: Fingerprint
}

/** Lets through what looks like the state of a training. */
export const stateCheck: Check<TrainingState> = (value, name) => {
  const isState = isObject(value) && isObject(value.conditions) && isObject(value.loader) && isObject(value.sums)
  if (isState) return value as unknown as TrainingState
  throw unexpected('the state of a training, as loadTraining gives it,', name, value)
}

/** Of an epoch's confusion matrix what is not 0: [n, 3] truth, answer, images. */
function sparse(confusion: Evaluation['confusion']): { shape: number[]; data: Int32Array } {
  const cells = confusion.flatMap((row, truth) =>
    row.flatMap((count, answer) => (count === 0 ? [] : [truth, answer, count])),
  )
  return { shape: [cells.length / 3, 3], data: Int32Array.from(cells) }
}

const tableOf = (epoch: number): string => `validation/${String(epoch).padStart(6, '0')}/confusion`

/** The state as a file holds it: the confusion matrices, of which there may be millions of numbers, as tables. */
export function encodeState(state: TrainingState): TrainingRecord {
  const tables = new Map<string, { shape: readonly number[]; data: Int32Array }>()
  const history = state.history.map(({ validation, ...epoch }) => {
    if (validation === undefined) return epoch
    const { perClass, confusion, ...figures } = validation
    tables.set(tableOf(epoch.epoch), sparse(confusion))
    return { ...epoch, validation: figures }
  })
  const classes = state.history.find(({ validation }) => validation)?.validation?.perClass.map(({ name }) => name)
  // JSON has no infinity
  const schedule = { ...state.schedule, best: Number.isFinite(state.schedule.best) ? state.schedule.best : null }
  return { state: JSON.stringify({ ...state, schedule, history, classes: classes ?? [] }, sorted), tables }
}

/** Equal states give equal text, whatever the order in which their fields were made. */
const sorted = (_: string, value: unknown): unknown =>
  isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value

const count = integer(0)
const object: Check<Record<string, unknown>> = (value, name) => {
  if (isObject(value)) return value
  throw unexpected('an object', name, value)
}
const list: Check<unknown[]> = (value, name) => {
  if (Array.isArray(value)) return value
  throw unexpected('an array', name, value)
}
const untouched = (value: unknown): unknown => value

const checks = {
  step: count,
  epochsDone: count,
  trainingStep: count,
  loader: object,
  schedule: object,
  rateFactor: positive,
  timesBack: count,
  sums: object,
  history: list,
  best: untouched,
  frozenBefore: untouched,
  conditions: object,
  classes: list,
}

/**
 * The state that `encodeState` wrote. What stands inside of it is as it was written: the file's checksum says so.
 * @throws FILE_FORMAT
 */
export function decodeState(text: string, tables: Tables): TrainingState {
  try {
    const { classes, schedule, ...state } = readOptions(JSON.parse(text), 'the state of a training', checks)
    checkRoom(classes.length, state.history.filter((epoch) => isObject(epoch) && epoch.validation !== undefined).length)
    const history = state.history.map((epoch) => withConfusion(epoch as StoredEpoch, classes as string[], tables))
    if (!isObject(state.conditions.network))
      throw unexpected('an object', 'conditions.network', state.conditions.network)
    const best = schedule.best ?? Number.NEGATIVE_INFINITY
    return { ...state, schedule: { ...schedule, best }, history } as unknown as TrainingState
  } catch (cause) {
    const reason = messageOf(cause)
    throw new VggError('FILE_FORMAT', `The state of the training is not valid: ${reason}`, { cause })
  }
}

/** @throws INVALID_ARGUMENT where the confusion matrices of the epochs are larger than the heap of this process may be */
function checkRoom(classes: number, epochs: number): void {
  const { heap_size_limit: bytes } = getHeapStatistics()
  if (8 * epochs * classes ** 2 <= bytes) return
  throw unexpected(`confusion matrices that fit into ${bytes} bytes`, 'history', `${epochs} of ${classes} classes`)
}

type StoredEpoch = Omit<PastEpoch, 'validation'> & {
  readonly validation?: Omit<Evaluation, 'perClass' | 'confusion'>
}

function withConfusion(epoch: StoredEpoch, classes: readonly string[], tables: Tables): PastEpoch {
  const { validation } = epoch
  if (validation === undefined) return { ...epoch, validation: undefined }
  const cells = tables.get(tableOf(epoch.epoch))?.data ?? new Int32Array()
  const confusion = classes.map(() => new Array<number>(classes.length).fill(0))
  for (let position = 0; position < cells.length; position += 3) {
    const [truth = 0, answer = 0, images = 0] = cells.subarray(position, position + 3)
    const row = confusion[truth]
    if (row === undefined || row[answer] === undefined) throw unexpected('a class', tableOf(epoch.epoch), truth)
    row[answer] = images
  }
  const { count, loss, top1, top5, ...rest } = validation
  return {
    ...epoch,
    validation: { count, loss, top1, top5, perClass: perClass(classes, confusion), confusion, ...rest },
  }
}

function perClass(classes: readonly string[], confusion: readonly (readonly number[])[]): ClassResult[] {
  return classes.map((name, index) => {
    const row = confusion[index] ?? []
    const count = row.reduce((sum, cell) => sum + cell, 0)
    const correct = row[index] ?? 0
    return { name, count, correct, accuracy: count === 0 ? 0 : correct / count }
  })
}
