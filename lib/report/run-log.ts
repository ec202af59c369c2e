import { messageOf, VggError } from '../error.js'
import { AppendFile } from '../files/append-file.js'
import { linkAtomically, writeAtomically } from '../files/atomic-file.js'
import { integer, optional, readOptions, withDefault } from '../options.js'
import { listText } from '../table.js'
import type { EpochEvent, StepEvent } from '../train/events.js'
import { type LineOf, type LogLine, type RawLine, type RawLog, readRawLog, type TrainingFacts } from './log-line.js'

/** Position at which a training is resumed, from its checkpoint. */
export interface RunPosition {
  /** Number of steps done. */
  readonly step: number
  /** Number of whole epochs done, validation and `onEpoch` included. */
  readonly epochs: number
}

/** Options of a run's log. */
export interface RunLogOptions {
  /** Interval of steps that are logged, besides the first, from 1. Default 10. */
  everySteps?: number | undefined
  /**
   * Continues the existing log after this position. Later lines and damaged lines are dropped; with damaged lines the
   * original file is kept as `<path>.left`, and `notice` says so. Default: a new log.
   */
  from?: RunPosition | undefined
}

const position = (value: unknown, name: string): RunPosition =>
  readOptions(value, name, { step: integer(0), epochs: integer(0) })

const checks = { everySteps: withDefault(integer(1), 10), from: optional(position) }

/** The kept part of a log that is continued. */
interface Continued {
  readonly kept: readonly RawLine[]
  readonly notice: string | undefined
}

type Body<L> = L extends LogLine ? Omit<L, 'time'> : never

/**
 * The log of a run: JSON lines that are appended, each in one write, so that a crash leaves all earlier lines whole.
 * A resumed run's log equals that of an uninterrupted run except for `time`, `seconds`, `imagesPerSecond`, `resume` lines
 * and the positions of `checkpoint` lines.
 */
export class RunLog {
  readonly #file: AppendFile
  readonly #everySteps: number
  /** Event of the first line that this log writes. */
  readonly #first: 'start' | 'resume'
  /** Damage of the log that is continued, in a sentence; undefined where it was whole. */
  readonly notice: string | undefined
  /** Skipped files that a line names. */
  readonly #named: Set<string>
  #step: number
  /** Number of steps done at the last checkpoint. */
  #checkpoint: number

  private constructor(
    file: AppendFile,
    everySteps: number,
    from: RunPosition | undefined,
    { kept, notice }: Continued,
  ) {
    this.#file = file
    this.#everySteps = everySteps
    // a run that was killed before its first line was on the disk has not started
    const isStart = from === undefined || (kept.length === 0 && from.step === 0)
    this.#first = isStart ? 'start' : 'resume'
    this.notice = notice
    this.#step = from?.step ?? 0
    this.#checkpoint = this.#step
    const files = kept.flatMap(({ line }) => (line?.event === 'skipped' ? line.files : []))
    this.#named = new Set(files.map(({ name }) => name))
  }

  /**
   * Opens a log.
   * @param path path of the file
   * @throws VggError FILE_WRITE, also where a log exists and `from` is not given; INVALID_ARGUMENT
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

  /** Callbacks for the options of `train`: `{ ...log.callbacks }`. */
  get callbacks(): { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void } {
    return { onStep: (event) => this.step(event), onEpoch: (event) => this.epoch(event) }
  }

  /** Writes the first line of a run, or of its continuation. @param facts facts of the training */
  start(facts: TrainingFacts): void {
    this.#write({ event: this.#first, step: this.#step, ...facts })
  }

  /**
   * Writes a finished step, at the interval of the log.
   * @param event event from `train`
   */
  step({ step, epoch, loss, images, correct, learningRate, imagesPerSecond }: StepEvent): void {
    this.#step = step
    if (step !== 1 && step % this.#everySteps !== 0) return
    this.#write({ event: 'step', step, epoch, loss, images, correct, learningRate, imagesPerSecond })
  }

  /** Writes a finished epoch, and before it the skipped files that no earlier line names. @param event event from `train` */
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

  /** Writes that a checkpoint is on the disk. @param saved step, path and duration of the checkpoint */
  checkpoint(saved: Omit<LineOf<'checkpoint'>, 'event' | 'time'>): void {
    this.#checkpoint = saved.step
    this.#write({ event: 'checkpoint', ...saved })
  }

  /**
   * Writes that a loss or gradient was not finite at step `at`.
   * @param found `step` is the step after which the training continues. Default: that of the last checkpoint where it
   *   goes back, else `at`
   */
  notFinite(found: Omit<LineOf<'notFinite'>, 'event' | 'time' | 'step'> & { readonly step?: number }): void {
    this.#step = found.step ?? (found.action === 'back' ? this.#checkpoint : found.at)
    this.#write({ event: 'notFinite', ...found, step: this.#step })
  }

  /**
   * Writes the end of the training.
   * @param how a `TrainReport`, or the reason why the training stopped
   */
  end({ ended, message, seconds, imagesPerSecond }: Omit<LineOf<'end'>, 'event' | 'time' | 'step'>): void {
    this.#write({ event: 'end', step: this.#step, ended, message, seconds, imagesPerSecond })
  }

  /** Waits until the log is on the disk. Call it before a checkpoint is written, which must not be ahead of its log. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /** Closes the file. Call it once, at the end. */
  close(): void {
    this.#file.close()
  }

  #write({ event, ...rest }: Body<LogLine>): void {
    const line = { event, time: new Date().toISOString(), ...rest }
    this.#file.append(new TextEncoder().encode(`${JSON.stringify(line)}\n`))
  }
}

/** The lines of a log. A damaged or missing log does not keep a training from being resumed. */
async function linesOf(path: string): Promise<Pick<RawLog, 'lines'> & Pick<RunLog, 'notice'>> {
  try {
    const { lines, damaged } = await readRawLog(path)
    if (damaged.length === 0) return { lines, notice: undefined }
    const which = listText(damaged.map(({ number }) => number))
    return { lines, notice: `skipped damaged lines of ${path}: ${which}; the original log is kept as ${path}.left` }
  } catch (error) {
    const code = error instanceof VggError ? error.code : undefined
    if (code === 'FILE_NOT_FOUND') return { lines: [], notice: undefined }
    if (code !== 'FILE_FORMAT') throw error
    return { lines: [], notice: `the log begins again: ${messageOf(error)}; the original is kept as ${path}.left` }
  }
}

/** Validation metrics without per-class results and confusion: for 1000 classes these are a million numbers. */
function figuresOf({ validation }: EpochEvent): LineOf<'epoch'>['validation'] {
  if (validation === undefined) return undefined
  const { count, loss, top1, top5 } = validation
  return { count, loss, top1, top5 }
}

/**
 * The lines that an uninterrupted run had written at this position: everything up to the last line of it or of an earlier
 * position, with steps that the training repeated on its way.
 */
function linesBefore(lines: readonly RawLine[], from: RunPosition): RawLine[] {
  const last = lines.findLastIndex(
    ({ line }) => line !== undefined && line.event !== 'checkpoint' && isBefore(line, from),
  )
  return lines.filter(({ line }, index) => {
    if (line === undefined) return true
    // checkpoint lines are written while the next steps run
    return index <= last ? line.event !== 'end' : line.event === 'checkpoint' && isBefore(line, from)
  })
}

/** Whether a line reports work that is done at this position. */
function isBefore(line: LogLine, { step, epochs }: RunPosition): boolean {
  if (line.event === 'end') return false
  if (line.event === 'epoch' || line.event === 'skipped') return line.epoch <= epochs
  return line.step <= step
}
