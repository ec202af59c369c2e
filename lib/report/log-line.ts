import { messageOf, VggError } from '../error.js'
import { systemCode } from '../files/atomic-file.js'
import { readRegularFile } from '../files/regular-file.js'
import {
  arrayOf,
  type Check,
  type Checked,
  type Checks,
  isObject,
  nonNegative,
  oneOf,
  optional,
  unexpected,
  withDefault,
} from '../options.js'
import { type JsonLimits, parsedJson } from '../untrusted.js'

const string: Check<string> = (value, name) => {
  if (typeof value === 'string') return value
  throw unexpected('a string', name, value)
}

/** JSON has no NaN and no infinity: JSON.stringify writes null for them. */
const figure: Check<number> = (value, name) => {
  if (typeof value === 'number') return value
  if (value === null) return Number.NaN
  throw unexpected('a number', name, value)
}

const fields =
  <C extends Checks>(checks: C): Check<Checked<C>> =>
  (value, name) => {
    if (!isObject(value)) throw unexpected('an object', name, value)
    // keys that are not in the table are of a newer version
    return Object.fromEntries(Object.entries(checks).map(([key, check]) => [key, check(value[key], key)])) as Checked<C>
  }

/** Makes keys optional where their value may be undefined. */
type Given<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: T[K]
}

const file = fields({ name: string, reason: string })

/** A setting as the report shows it. */
const setting: Check<string | number | boolean> = (value, name) => {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  throw unexpected('a string, a number, true or false', name, value)
}

const settings: Check<Record<string, string | number | boolean>> = (value, name) => {
  if (!isObject(value)) throw unexpected('an object', name, value)
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, setting(one, key)]))
}

const facts = {
  /** Name of the network: 'VGG A'. */
  model: string,
  /** Source of the images, as the user wrote it. */
  data: string,
  command: optional(string),
  /** Version of vggnet. */
  version: optional(string),
  device: string,
  /** Reason for the choice of device `auto`. */
  deviceReason: optional(string),
  precision: string,
  /** Number of training images. */
  training: nonNegative,
  /** Number of validation images. */
  validation: optional(nonNegative),
  classes: nonNegative,
  epochs: nonNegative,
  batch: nonNegative,
  /** Further settings for the report, by name. */
  settings: optional(settings),
}

/** Facts of a training, in the first line of its log and at the top of its report. */
export type TrainingFacts = Readonly<Given<Checked<typeof facts>>>

const shared = {
  /** Time of writing, ISO 8601 in UTC. */
  time: string,
  /** Number of steps done since the start of the training. */
  step: nonNegative,
}

const events = {
  start: { ...shared, ...facts },
  /** The training was resumed from the checkpoint of `step`; lines of later steps were dropped. */
  resume: { ...shared, ...facts },
  step: {
    ...shared,
    epoch: nonNegative,
    loss: figure,
    images: nonNegative,
    correct: nonNegative,
    learningRate: figure,
    imagesPerSecond: figure,
  },
  epoch: {
    ...shared,
    epoch: nonNegative,
    epochs: nonNegative,
    learningRate: figure,
    loss: figure,
    accuracy: figure,
    validation: optional(fields({ count: nonNegative, loss: figure, top1: figure, top5: figure })),
    imagesPerSecond: figure,
    seconds: figure,
    /** Number of files skipped in the epoch. */
    skipped: withDefault(nonNegative, 0),
    /** Number of steps that were not applied because a loss or gradient was not finite. */
    refused: withDefault(nonNegative, 0),
  },
  /** Skipped files that no earlier line names. */
  skipped: { ...shared, epoch: nonNegative, files: arrayOf(file) },
  checkpoint: { ...shared, path: string, seconds: optional(figure) },
  /** A loss or gradient was not finite at step `at`; the training continues after `step`, or ends there. */
  notFinite: { ...shared, at: nonNegative, message: string, action: oneOf('stop', 'skip', 'back') },
  end: {
    ...shared,
    ended: oneOf('epochs', 'schedule', 'interrupted', 'failed'),
    message: optional(string),
    seconds: optional(figure),
    imagesPerSecond: optional(figure),
  },
} satisfies Record<string, Checks>

type Events = typeof events

/**
 * One line of a run's log, discriminated by `event`: `start`, `resume`, `step`, `epoch`, `skipped`, `checkpoint`,
 * `notFinite` or `end`. Each has `time` (ISO 8601, UTC) and `step` (steps done); numbers that JSON cannot hold are NaN.
 */
export type LogLine = { [E in keyof Events]: { readonly event: E } & Readonly<Given<Checked<Events[E]>>> }[keyof Events]

/** A log line of one event. */
export type LineOf<E extends LogLine['event']> = Extract<LogLine, { event: E }>

/** The log of a run, as read by `readRunLog`. */
export interface ReadLog {
  /** All whole lines, in order. */
  readonly lines: readonly LogLine[]
  /** Whether the last line is incomplete, as after a crash of the machine; it is not in `lines`. */
  readonly torn: boolean
  /** Numbers, from 1, of other damaged lines, as after a power cut; they are not in `lines`. */
  readonly damaged: readonly number[]
}

/** A log line with its text in the file. */
export interface RawLine {
  readonly text: string
  /** Undefined for an event that this version does not know. */
  readonly line: LogLine | undefined
}

/** A log with the text of each line, as read by `readRawLog`. */
export interface RawLog {
  readonly lines: readonly RawLine[]
  readonly torn: boolean
  /** Damaged lines: their numbers, from 1, and the reasons. */
  readonly damaged: readonly { readonly number: number; readonly reason: string }[]
}

/**
 * Reads a run's log. Damaged lines are skipped and listed; events and fields of a newer version are skipped. Equal lines
 * count once.
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT with the line number where no line can be read
 */
export async function readRunLog(path: string): Promise<ReadLog> {
  const { lines, torn, damaged } = await readRawLog(path)
  const [first] = damaged
  if (first !== undefined && lines.length === 0) {
    throw new VggError('FILE_FORMAT', `${path}, line ${first.number}: ${first.reason}`)
  }
  return { lines: lines.flatMap(({ line }) => line ?? []), torn, damaged: damaged.map(({ number }) => number) }
}

/** As {@link readRunLog}, with the text of each line. @throws VggError FILE_NOT_FOUND, FILE_FORMAT if it is too large for a log */
export async function readRawLog(path: string): Promise<RawLog> {
  const lines: RawLine[] = []
  const damaged: { number: number; reason: string }[] = []
  const known = new Set<string>()
  let number = 0
  let unpaused = 0
  for (const { bytes, isLast } of linesIn(await bytesOf(path))) {
    number += 1
    if (number > most.lines) throw tooMany(path, most.lines, 'lines')
    unpaused += bytes.length + bytesOfLine
    if (unpaused > bytesAtOnce) {
      await new Promise((resolve) => setImmediate(resolve))
      unpaused = 0
    }
    const parsed = parsedLine(bytes)
    // an incomplete line after the last line break
    if (parsed === undefined && isLast) return { lines, torn: true, damaged }
    try {
      const { text, value } = parsed ?? { text: '', value: undefined }
      const line = lineOf(value)
      if (line === undefined || !known.has(text)) lines.push({ text, line })
      known.add(text)
    } catch (error) {
      damaged.push({ number, reason: messageOf(error) })
      if (damaged.length > most.damaged) throw tooMany(path, most.damaged, 'damaged lines')
    }
  }
  return { lines, torn: false, damaged }
}

const tooMany = (path: string, limit: number, what: string): VggError =>
  new VggError('FILE_FORMAT', `${path}: Expected the log of a run with at most ${limit} ${what}, but it has more`)

/** Most bytes of a log: a million lines of 256 bytes, which are ten million steps. */
const mostBytes = 2 ** 28
/** Limits of a line. Those of a hundred skipped files with long paths take the most. */
const lineLimits: JsonLimits = { bytes: 2 ** 20, depth: 8, values: 2 ** 12, keys: 2 ** 12 }
/** Most lines that are read, and most damaged ones of them. */
const most = { lines: 2 ** 21, damaged: 1000 } as const
/** Bytes that are parsed before the event loop continues, and how many an empty line takes the time of. */
const [bytesAtOnce, bytesOfLine] = [2 ** 18, 256]

async function bytesOf(path: string): Promise<Buffer> {
  try {
    return await readRegularFile(path, mostBytes)
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    const missing = systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
    const message = missing ? `There is no log at ${path}` : `Could not read ${path}: ${(cause as Error).message}`
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

/** The lines, and what follows the last line break unless it is nothing. */
function* linesIn(bytes: Buffer): Generator<{ bytes: Buffer; isLast: boolean }> {
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(10, start)
    const end = found === -1 ? bytes.length : found
    yield { bytes: bytes.subarray(start, end), isLast: end + 1 >= bytes.length }
    start = end + 1
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The parsed line; undefined where it is not JSON. */
function parsedLine(bytes: Buffer): { text: string; value: unknown } | undefined {
  try {
    return { text: utf8.decode(bytes), value: parsedJson(bytes, lineLimits) }
  } catch {
    return undefined
  }
}

function lineOf(value: unknown): LogLine | undefined {
  if (!isObject(value)) throw new VggError('FILE_FORMAT', 'Expected a JSON object with an event')
  const event = string(value.event, 'event')
  if (!Object.hasOwn(events, event)) return undefined
  return { event, ...fields<Checks>(events[event as keyof Events])(value, 'line') } as LogLine
}
