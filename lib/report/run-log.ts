import { VggError } from '../error.js'
import { AppendFile } from '../files/append-file.js'
import { linkAtomically, writeAtomically } from '../files/atomic-file.js'
import { integer, optional, readOptions, withDefault } from '../options.js'
import { listText } from '../table.js'
import type { EpochEvent, StepEvent } from '../train/events.js'
import { type LineOf, type LogLine, type RawLine, type RawLog, readRawLog, type TrainingFacts } from './log-line.js'

/** Where a training goes on: what its checkpoint holds. */
export interface RunPosition {
  /** Steps done. */
  readonly step: number
  /** Whole epochs done, their validation and `onEpoch` included. */
  readonly epochs: number
}

/** How a log is kept. */
export interface RunLogOptions {
  /** A line for the first step and every so many, from 1. Default 10. */
  everySteps?: number
  /**
   * Go on with the log that is there, after this position: later lines are dropped. Lines that are damaged are left out,
   * wherever they are; the file as it was stays as `<path>.left`, and `notice` says so. Default: a new log.
   */
  from?: RunPosition
}

const position = (value: unknown, name: string): RunPosition =>
  readOptions(value, name, { step: integer(0), epochs: integer(0) })

const checks = { everySteps: withDefault(integer(1), 10), from: optional(position) }

/** What is kept of a log that is gone on with. */
interface Continued {
  readonly kept: readonly RawLine[]
  readonly notice: string | undefined
}

type Body<L> = L extends LogLine ? Omit<L, 'time'> : never

/**
 * The log of a run: JSON lines, only ever added to, each in one write. Whatever ends the process, all lines before are
 * whole. A resumed run's log is that of an undisturbed one, but for `time`, `seconds`, `imagesPerSecond`, the lines
 * `resume` and when `checkpoint` lines come.
 */
export class RunLog {
  readonly #file: AppendFile
  readonly #everySteps: number
  readonly #from: RunPosition | undefined
  /** What was wrong with the log that is gone on with, in a sentence; undefined where nothing was. */
  readonly notice: string | undefined
  /** Files that a line has named. */
  readonly #named: Set<string>
  #step: number
  /** Steps done at the last checkpoint. */
  #checkpoint: number

  private constructor(
    file: AppendFile,
    everySteps: number,
    from: RunPosition | undefined,
    { kept, notice }: Continued,
  ) {
    this.#file = file
    this.#everySteps = everySteps
    this.#from = from
    this.notice = notice
    this.#step = from?.step ?? 0
    this.#checkpoint = this.#step
    const files = kept.flatMap(({ line }) => (line?.event === 'skipped' ? line.files : []))
    this.#named = new Set(files.map(({ name }) => name))
  }

  /**
   * @throws VggError FILE_WRITE, also where there is a log and `from` is not given; INVALID_ARGUMENT
   */
  static async open(path: string, options: RunLogOptions = {}): Promise<RunLog> {
    const { everySteps, from } = readOptions(options, 'RunLog options', checks)
    if (from === undefined) {
      return new RunLog(new AppendFile(path, 'new'), everySteps, from, { kept: [], notice: undefined })
    }
    const { lines, notice } = await linesOf(path)
    const kept = linesBefore(lines, from)
    const text = kept.map((line) => `${line.text}\n`).join('')
    if (notice !== undefined) await linkAtomically(path, `${path}.left`)
    await writeAtomically(path, [new TextEncoder().encode(text)])
    return new RunLog(new AppendFile(path, 'existing'), everySteps, from, { kept, notice })
  }

  /** Functions for the options of `train`: `{ ...log.callbacks }`. */
  get callbacks(): { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void } {
    return { onStep: (event) => this.step(event), onEpoch: (event) => this.epoch(event) }
  }

  /** The first line of a run, or of its going on. */
  start(facts: TrainingFacts): void {
    this.#write({ event: this.#from === undefined ? 'start' : 'resume', step: this.#step, ...facts })
  }

  /**
   * A finished step: written if its turn has come.
   * @param event as `train` gives it
   */
  step({ step, epoch, loss, images, correct, learningRate, imagesPerSecond }: StepEvent): void {
    this.#step = step
    if (step !== 1 && step % this.#everySteps !== 0) return
    this.#write({ event: 'step', step, epoch, loss, images, correct, learningRate, imagesPerSecond })
  }

  /** A finished epoch, and before it the files left out that no line has named yet. */
  epoch(event: EpochEvent): void {
    const { epoch, epochs, steps: step, learningRate, loss, accuracy, imagesPerSecond, seconds } = event
    const { skipped, skippedCount, refused } = event
    this.#step = step
    const files = skipped.filter(({ name }) => !this.#named.has(name)).map(({ name, reason }) => ({ name, reason }))
    for (const { name } of files) this.#named.add(name)
    if (files.length > 0) this.#write({ event: 'skipped', step, epoch, files })
    const figures = { learningRate, loss, accuracy, validation: figuresOf(event), imagesPerSecond, seconds }
    this.#write({ event: 'epoch', step, epoch, epochs, ...figures, skipped: skippedCount, refused })
  }

  /** A checkpoint that lies on the disk. */
  checkpoint(saved: Omit<LineOf<'checkpoint'>, 'event' | 'time'>): void {
    this.#checkpoint = saved.step
    this.#write({ event: 'checkpoint', ...saved })
  }

  /**
   * A loss or gradient that was not finite at step `at`. `step` is where the training goes on from: unless stated the last
   * checkpoint where it goes back, `at` otherwise.
   */
  notFinite(found: Omit<LineOf<'notFinite'>, 'event' | 'time' | 'step'> & { readonly step?: number }): void {
    this.#step = found.step ?? (found.action === 'back' ? this.#checkpoint : found.at)
    this.#write({ event: 'notFinite', ...found, step: this.#step })
  }

  /**
   * The end, whatever it was.
   * @param how a `TrainReport`, or what stopped the training
   */
  end({ ended, message, seconds, imagesPerSecond }: Omit<LineOf<'end'>, 'event' | 'time' | 'step'>): void {
    this.#write({ event: 'end', step: this.#step, ended, message, seconds, imagesPerSecond })
  }

  /** Waits until the log is on the disk: before a checkpoint is put there, which must not be ahead of its log. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /** Closes the file; call it once, at the end. */
  close(): void {
    this.#file.close()
  }

  #write({ event, ...rest }: Body<LogLine>): void {
    const line = { event, time: new Date().toISOString(), ...rest }
    this.#file.append(new TextEncoder().encode(`${JSON.stringify(line)}\n`))
  }
}

/** A log that is damaged, or that somebody took away, does not keep a training from going on. */
async function linesOf(path: string): Promise<Pick<RawLog, 'lines'> & Pick<RunLog, 'notice'>> {
  try {
    const { lines, damaged } = await readRawLog(path)
    if (damaged.length === 0) return { lines, notice: undefined }
    const which = listText(damaged.map(({ number }) => number))
    return { lines, notice: `left out damaged lines of ${path}: ${which}; the log as it was is ${path}.left` }
  } catch (error) {
    if (!(error instanceof VggError) || error.code !== 'FILE_NOT_FOUND') throw error
    return { lines: [], notice: undefined }
  }
}

/** Per class figures and confusion are left out: of 1000 classes they are a million numbers an epoch. */
function figuresOf({ validation }: EpochEvent): LineOf<'epoch'>['validation'] {
  if (validation === undefined) return undefined
  const { count, loss, top1, top5 } = validation
  return { count, loss, top1, top5 }
}

/**
 * What an undisturbed run had written when it stood there: everything up to the last line of that position or an earlier
 * one, with the steps that the training may have gone back over on its way.
 */
function linesBefore(lines: readonly RawLine[], from: RunPosition): RawLine[] {
  const last = lines.findLastIndex(
    ({ line }) => line !== undefined && line.event !== 'checkpoint' && isBefore(line, from),
  )
  return lines.filter(({ line }, index) => {
    if (line === undefined) return true
    // checkpoints are written beside the steps that follow them
    return index <= last ? line.event !== 'end' : line.event === 'checkpoint' && isBefore(line, from)
  })
}

/** Whether a line tells of what was done at this position already. */
function isBefore(line: LogLine, { step, epochs }: RunPosition): boolean {
  if (line.event === 'end') return false
  if (line.event === 'epoch' || line.event === 'skipped') return line.epoch <= epochs
  return line.step <= step
}
