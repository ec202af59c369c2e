import { readdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { AppendFile } from '../files/append-file.js'
import { filePath, integer, optional, readOptions, withDefault } from '../options.js'
import type { EpochEvent, StepEvent } from '../train/events.js'

/** Options of TensorBoard event files. */
export interface TensorBoardOptions {
  /** Interval of steps whose loss is written, besides the first, from 1. Default 10. */
  everySteps?: number | undefined
  /** Step after which the training is resumed: later steps in earlier files become void. Default: a new training. */
  fromStep?: number | undefined
}

const checks = { everySteps: withDefault(integer(1), 10), fromStep: optional(integer(0)) }

/**
 * Writes scalars of a training for TensorBoard, by step:
 *
 * - `loss/step`; `loss/training`, `loss/validation` of an epoch
 * - `accuracy/training`, `accuracy/top-1`, `accuracy/top-5`: from 0 to 1; the latter two on the validation data
 * - `rate/learning_rate`, `speed/images_per_second`, `skipped/files`
 *
 * Each start and each resumption of a training writes a new file, `events.out.tfevents.<seconds>.<host>.<process>`.
 */
export class TensorBoardLog {
  /** Path of the event file. */
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
   * Opens a new event file beside the existing ones.
   * @param folder folder of the run
   * @throws VggError FILE_WRITE, INVALID_ARGUMENT
   */
  static async open(folder: string, options: TensorBoardOptions = {}): Promise<TensorBoardLog> {
    const { everySteps, fromStep } = readOptions(options, 'TensorBoardLog options', checks)
    const name = await fileName(filePath(folder, 'folder'))
    const log = new TensorBoardLog(new AppendFile(path.join(folder, name), 'new'), everySteps)
    try {
      log.#write(0, { fileVersion: 'brain.Event:2' })
      // also for a new training: TensorBoard takes only the second session of a folder for a restart
      log.#write(fromStep === undefined ? 0 : fromStep + 1, { session: 'start' })
    } catch (error) {
      log.#file.close()
      throw error
    }
    return log
  }

  /** Callbacks for the options of `train`: `{ ...log.callbacks }`. */
  get callbacks(): { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void } {
    return { onStep: (event) => this.step(event), onEpoch: (event) => this.epoch(event) }
  }

  /**
   * Writes a finished step, at the interval of the log. A step that is repeated, because the training went back, replaces
   * the earlier one.
   * @param event event from `train`
   */
  step({ step, loss }: StepEvent): void {
    if (step <= this.#last) this.#write(step, { session: 'start' })
    this.#last = step
    if (step === 1 || step % this.#everySteps === 0) this.#write(step, { scalars: { 'loss/step': loss } })
  }

  /** Writes a finished epoch. @param event event from `train` */
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

  /** Waits until the events are on the disk. Call it before a checkpoint is written, which must not be ahead of them. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /** Closes the file. Call it once, at the end. */
  close(): void {
    this.#file.close()
  }

  #write(step: number, content: EventContent): void {
    this.#file.append(tfRecord(encodeEvent(Date.now() / 1000, step, content)))
  }
}

/** A name after those of earlier files: TensorBoard reads the files of a folder in the order of their names. */
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

// Event files are TFRecord frames around protobuf messages (tensorflow/core/util/event.proto and
// tensorflow/core/framework/summary.proto), of which only the fields for scalars are written.

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0)
  return remainder >>> 0
})

/** CRC-32C (Castagnoli), reflected: 0xE3069283 for '123456789'. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

/** Masked CRC, as TFRecord stores it: a CRC over data that contains CRCs would be weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** A TFRecord frame: length u64, its masked CRC u32, data, their masked CRC u32; little-endian. */
function tfRecord(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(data.length + 16)
  const view = new DataView(frame.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc(frame.subarray(0, 8)), true)
  frame.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc(data), true)
  return frame
}

/** Content of an event besides its time and step. */
type EventContent =
  /** The first record of a file. */
  | { readonly fileVersion: string }
  /** Values by tag, stored in float32. */
  | { readonly scalars: Readonly<Record<string, number>> }
  /** A training starts or is resumed: this step and later ones in earlier files become void. */
  | { readonly session: 'start' }

/**
 * Encodes a `tensorflow.Event`.
 * @param wallTime seconds since 1970
 * @param step an integer from 0
 */
function encodeEvent(wallTime: number, step: number, content: EventContent): Uint8Array {
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

// The wire type: the lowest three bits of a field's key.
const wire = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const

const key = (field: number, kind: keyof typeof wire): Uint8Array => varint(field * 8 + wire[kind])

/** Base 128, lowest digit first. By division, as a shift would truncate at 2^32. */
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
