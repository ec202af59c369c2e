import { readdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { AppendFile } from '../files/append-file.js'
import { filePath, integer, optional, readOptions, withDefault } from '../options.js'
import type { EpochEvent, StepEvent } from '../train/events.js'
import { type EventContent, encodeEvent, tfRecord } from './event-record.js'

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
