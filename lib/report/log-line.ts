import { readFile } from 'node:fs/promises'
import { messageOf, VggError } from '../error.js'
import { systemCode } from '../files/atomic-file.js'
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
    // What is not in the table is of a newer version, and left out.
    return Object.fromEntries(Object.entries(checks).map(([key, check]) => [key, check(value[key], key)])) as Checked<C>
  }

/** What may be undefined may be left out. */
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
  /** What is trained: 'VGG A'. */
  model: string,
  /** Where the images come from, as the user wrote it. */
  data: string,
  command: optional(string),
  /** Of vggnet. */
  version: optional(string),
  device: string,
  /** What the device `auto` went by. */
  deviceReason: optional(string),
  precision: string,
  /** Training images. */
  training: nonNegative,
  /** Images for validation. */
  validation: optional(nonNegative),
  classes: nonNegative,
  epochs: nonNegative,
  batch: nonNegative,
  /** Whatever else is worth showing, by name. */
  settings: optional(settings),
}

/** What a training is, as its log begins with it and its report shows it. */
export type TrainingFacts = Readonly<Given<Checked<typeof facts>>>

const shared = {
  /** When it was written, ISO 8601 in UTC. */
  time: string,
  /** Steps done, counted from the training's first. */
  step: nonNegative,
}

const events = {
  start: { ...shared, ...facts },
  /** The training went on from a checkpoint of `step`; lines of later steps, if there were any, were dropped. */
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
    /** Files left out of the epoch. */
    skipped: withDefault(nonNegative, 0),
    /** Steps that changed nothing, because something was not finite. */
    refused: withDefault(nonNegative, 0),
  },
  /** Files left out that no line before has named. */
  skipped: { ...shared, epoch: nonNegative, files: arrayOf(file) },
  checkpoint: { ...shared, path: string, seconds: optional(figure) },
  /** A loss or a gradient was not finite at step `at`; the training goes on behind `step`, or ends there. */
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
 * One line of a run's log, told apart by `event`: `start`, `resume`, `step`, `epoch`, `skipped`, `checkpoint`,
 * `notFinite` or `end`. Each has `time` (ISO 8601, UTC) and `step` (steps done); figures that JSON cannot hold are NaN.
 */
export type LogLine = { [E in keyof Events]: { readonly event: E } & Readonly<Given<Checked<Events[E]>>> }[keyof Events]

/** The line of one kind of event. */
export type LineOf<E extends LogLine['event']> = Extract<LogLine, { event: E }>

/** The log of a run, as it was read. */
export interface ReadLog {
  /** All that are whole, in order. */
  readonly lines: readonly LogLine[]
  /** The last line had been written only in part (the machine went down); it is not among `lines`. */
  readonly torn: boolean
  /** Numbers, from 1, of other lines that cannot be read, as after a power cut; they are not among `lines`. */
  readonly damaged: readonly number[]
}

/** A line with the text it had in the file. */
export interface RawLine {
  readonly text: string
  /** Undefined for an event that this version does not know. */
  readonly line: LogLine | undefined
}

/** A log with the text of each line. */
export interface RawLog {
  readonly lines: readonly RawLine[]
  readonly torn: boolean
  /** Lines that cannot be read, by their numbers from 1, and why. */
  readonly damaged: readonly { readonly number: number; readonly reason: string }[]
}

/**
 * Reads a run's log. Lines that are damaged are left out and numbered; events and fields of a newer version are left out
 * as well. A line that is there twice, to the millisecond of its time, counts once.
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT with the number of the line where not one line can be read
 */
export async function readRunLog(path: string): Promise<ReadLog> {
  const { lines, torn, damaged } = await readRawLog(path)
  const [first] = damaged
  if (first !== undefined && lines.length === 0) {
    throw new VggError('FILE_FORMAT', `${path}, line ${first.number}: ${first.reason}`)
  }
  return { lines: lines.flatMap(({ line }) => line ?? []), torn, damaged: damaged.map(({ number }) => number) }
}

/** As {@link readRunLog}, with the text of each line. @throws VggError FILE_NOT_FOUND */
export async function readRawLog(path: string): Promise<RawLog> {
  const texts = linesIn(await bytesOf(path))
  // after the last line break there is nothing, or a line that was not finished
  if (texts.at(-1)?.length === 0) texts.pop()
  const lines: RawLine[] = []
  const damaged: { number: number; reason: string }[] = []
  const known = new Set<string>()
  for (const [index, bytes] of texts.entries()) {
    const parsed = parsedLine(bytes)
    if (parsed === undefined && index === texts.length - 1) return { lines, torn: true, damaged }
    try {
      const { text, value } = parsed ?? { text: '', value: undefined }
      const line = lineOf(value)
      if (line === undefined || !known.has(text)) lines.push({ text, line })
      known.add(text)
    } catch (error) {
      damaged.push({ number: index + 1, reason: messageOf(error) })
    }
  }
  return { lines, torn: false, damaged }
}

async function bytesOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    const missing = systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
    const message = missing ? `There is no log at ${path}` : `Could not read ${path}: ${(cause as Error).message}`
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

function linesIn(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end))
    start = end + 1
  }
  return [...lines, bytes.subarray(start)]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undefined for what is no text of JSON. */
function parsedLine(bytes: Buffer): { text: string; value: unknown } | undefined {
  try {
    const text = utf8.decode(bytes)
    return { text, value: JSON.parse(text) }
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
