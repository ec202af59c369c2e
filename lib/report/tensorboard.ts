import { readdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { AppendFile } from '../files/append-file.js'
import { filePath, integer, optional, readOptions, withDefault } from '../options.js'
import type { EpochEvent, StepEvent } from '../train/events.js'

/** How event files are kept. */
export interface TensorBoardOptions {
  /** The loss of the first step and of every so many, from 1. Default 10. */
  everySteps?: number
  /** The training goes on behind this step: what earlier files of the folder say of later ones is void. */
  fromStep?: number
}

const checks = { everySteps: withDefault(integer(1), 10), fromStep: optional(integer(0)) }

/**
 * The scalars of a training for TensorBoard, over the steps done:
 *
 * - `loss/step`; `loss/training`, `loss/validation` of an epoch
 * - `accuracy/training`, `accuracy/top-1`, `accuracy/top-5`: shares from 0 to 1; the latter two on the validation data
 * - `rate/learning_rate`, `speed/images_per_second`, `skipped/files`
 *
 * Each start of a training, and each going on, has a file of its own, `events.out.tfevents.<seconds>.<host>.<process>`.
 */
export class TensorBoardLog {
  /** Of the event file. */
  readonly path: string
  readonly #file: AppendFile
  readonly #everySteps: number
  #last = 0

  private constructor(file: AppendFile, everySteps: number) {
    this.path = file.path
    this.#file = file
    this.#everySteps = everySteps
  }

  /**
   * A new event file, beside those that are there.
   * @param folder of the run
   * @throws VggError FILE_WRITE, INVALID_ARGUMENT
   */
  static async open(folder: string, options: TensorBoardOptions = {}): Promise<TensorBoardLog> {
    const { everySteps, fromStep } = readOptions(options, 'TensorBoardLog options', checks)
    const name = await fileName(filePath(folder, 'folder'))
    const log = new TensorBoardLog(new AppendFile(path.join(folder, name), 'new'), everySteps)
    log.#write(0, { fileVersion: 'brain.Event:2' })
    // also at the very start: TensorBoard takes the first of these for a start, and only those behind it for a restart
    log.#write(fromStep === undefined ? 0 : fromStep + 1, { session: 'start' })
    return log
  }

  /** Functions for the options of `train`. */
  get callbacks(): { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void } {
    return { onStep: (event) => this.step(event), onEpoch: (event) => this.epoch(event) }
  }

  /**
   * A finished step: written if its turn has come. One that comes once more, as the training went back, takes over.
   * @param event as `train` gives it
   */
  step({ step, loss }: StepEvent): void {
    if (step <= this.#last) this.#write(step, { session: 'start' })
    this.#last = step
    if (step === 1 || step % this.#everySteps === 0) this.#write(step, { scalars: { 'loss/step': loss } })
  }

  /** A finished epoch. */
  epoch(event: EpochEvent): void {
    const { validation } = event
    const scalars = {
      'loss/training': event.loss,
      ...(validation && { 'loss/validation': validation.loss }),
      'accuracy/training': event.accuracy,
      ...(validation && { 'accuracy/top-1': validation.top1, 'accuracy/top-5': validation.top5 }),
      'rate/learning_rate': event.learningRate,
      'speed/images_per_second': event.imagesPerSecond,
      'skipped/files': event.skippedCount,
    }
    this.#write(event.steps, { scalars })
  }

  /** Waits until the events are on the disk: before a checkpoint is, after whose step a resumed training writes anew. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /** Closes the file; call it once, at the end. */
  close(): void {
    this.#file.close()
  }

  #write(step: number, content: EventContent): void {
    this.#file.append(tfRecord(encodeEvent(Date.now() / 1000, step, content)))
  }
}

/** TensorBoard reads the files of a folder in the order of their names: a later one must come behind the earlier ones. */
async function fileName(folder: string): Promise<string> {
  const taken = (await entriesOf(folder)).map((name) => Number(/^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1] ?? 0))
  const seconds = Math.max(Math.floor(Date.now() / 1000), 1 + Math.max(0, ...taken))
  const host = hostname().replaceAll(/[^\w-]/g, '_')
  return `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${process.pid}`
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    const reason = messageOf(cause)
    throw new VggError('FILE_WRITE', `Could not write TensorBoard events in ${folder}: ${reason}`, { cause })
  }
}

/**
 * Records of a TensorBoard event file, as bytes: TFRecord frames around protobuf messages, of which only the few fields
 * that scalars need are written (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
 */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0)
  return remainder >>> 0
})

/** CRC-32C (Castagnoli), reflected: of '123456789' it is 0xE3069283. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

/** As TFRecord stores it: a checksum over data that holds checksums would else be weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** length u64, its masked CRC u32, the data, their masked CRC u32; little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(data.length + 16)
  const view = new DataView(frame.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc(frame.subarray(0, 8)), true)
  frame.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc(data), true)
  return frame
}

/** What one event holds besides its time and step. */
export type EventContent =
  /** The first record of a file. */
  | { readonly fileVersion: string }
  /** Values by tag, stored in float32. */
  | { readonly scalars: Readonly<Record<string, number>> }
  /** A training begins, or goes on: what an earlier file says of this step and later ones is void. */
  | { readonly session: 'start' }

/**
 * `tensorflow.Event`.
 * @param wallTime seconds since 1970
 * @param step an integer from 0
 */
export function encodeEvent(wallTime: number, step: number, content: EventContent): Uint8Array {
  return joined([float64(1, wallTime), varintField(2, step), encodeContent(content)])
}

function encodeContent(content: EventContent): Uint8Array {
  if ('fileVersion' in content) return textField(3, content.fileVersion)
  if ('session' in content) return bytesField(7, varintField(1, sessionStart))
  const values = Object.entries(content.scalars).map(([tag, value]) =>
    bytesField(1, joined([textField(1, tag), float32(2, value)])),
  )
  return bytesField(5, joined(values))
}

/** SessionLog.SessionStatus.START */
const sessionStart = 1

// The lowest three bits of a field's key say how it is stored.
const wire = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const

const key = (field: number, kind: keyof typeof wire): Uint8Array => varint(field * 8 + wire[kind])

/** Base 128, lowest digit first. By division: a shift would cut a step at 2^32. */
function varint(value: number): Uint8Array {
  const digits: number[] = []
  let rest = value
  while (rest >= 128) {
    digits.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Uint8Array.from([...digits, rest])
}

const varintField = (field: number, value: number): Uint8Array => joined([key(field, 'varint'), varint(value)])

function bytesField(field: number, content: Uint8Array): Uint8Array {
  return joined([key(field, 'bytes'), varint(content.length), content])
}

const textField = (field: number, text: string): Uint8Array => bytesField(field, new TextEncoder().encode(text))

function float64(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return joined([key(field, 'eightBytes'), bytes])
}

function float32(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setFloat32(0, value, true)
  return joined([key(field, 'fourBytes'), bytes])
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))
