import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { exists } from '../files/not-found.js'
import { packageVersion } from '../platform/package.js'
import { RunLog } from '../report/run-log.js'
import { TensorBoardLog } from '../report/tensorboard.js'
import type { CheckpointEvent, EpochEvent, RefusedEvent, StepEvent, TrainReport } from '../train/events.js'
import type { TrainingState } from '../train/training-state.js'
import { modelTable } from '../vgg/configuration.js'
import type { VGG } from '../vgg/vgg.js'
import type { Datasets } from './datasets.js'
import type { DataDescription, RunDescription } from './description.js'
import { runFiles } from './folder.js'

/** The records of a run: log.jsonl and the events for TensorBoard. */
export class Records {
  readonly #log: RunLog
  readonly #board: TensorBoardLog

  constructor(log: RunLog, board: TensorBoardLog) {
    this.#log = log
    this.#board = board
  }

  /** Writes the first line of the training, or of its continuation. */
  start(description: RunDescription, { net, data }: OpenedTraining, command: string | undefined): void {
    const { device, deviceReason, precision } = net
    this.#log.start({
      model: `VGG ${net.variant}`,
      data: dataText(description.data),
      command,
      version: packageVersion(),
      device,
      deviceReason,
      precision,
      training: data.training.count,
      validation: data.validation?.count ?? 0,
      classes: net.classes,
      epochs: description.training.epochs,
      batch: description.training.batch,
      settings: settingsOf(net, description),
    })
  }

  step(event: StepEvent): void {
    this.#log.step(event)
    this.#board.step(event)
  }

  epoch(event: EpochEvent): void {
    this.#log.epoch(event)
    this.#board.epoch(event)
  }

  refused({ step, message, action }: RefusedEvent): void {
    this.#log.notFinite({ at: step, message, action })
  }

  checkpoint({ path, step, seconds }: CheckpointEvent): void {
    this.#log.checkpoint({ path, step, seconds })
  }

  end(report: TrainReport): void {
    this.#log.end({ ...report, message: report.noBetterThanChance })
  }

  /** Never throws: an error of the log, as on a full disk, would hide the first one. */
  failed(error: unknown): void {
    const ended = error instanceof VggError && error.code === 'ABORTED' ? 'interrupted' : 'failed'
    try {
      this.#log.end({ ended, message: messageOf(error) })
    } catch {}
  }

  /** Sentence on damage of the log; undefined if there is none. */
  get notice(): string | undefined {
    return this.#log.notice
  }

  async sync(): Promise<void> {
    await Promise.all([this.#log.sync(), this.#board.sync()])
  }

  close(): void {
    try {
      this.#log.close()
    } finally {
      this.#board.close()
    }
  }
}

/** A training that is about to start or to continue. */
export interface OpenedTraining {
  readonly net: VGG
  readonly data: Datasets
  /** State of the training; undefined at its start. */
  readonly state: TrainingState | undefined
}

/** Opens the records of a run, to append to them. */
export async function openRecords(folder: string, state: TrainingState | undefined): Promise<Records> {
  const { log: file } = runFiles(folder)
  // a run that was killed before its first checkpoint starts again
  const from = (await exists(file)) ? { step: state?.step ?? 0, epochs: state?.epochsDone ?? 0 } : undefined
  const log = await RunLog.open(file, { ...(from && { from }) })
  try {
    return new Records(log, await TensorBoardLog.open(folder, { ...(from && { fromStep: from.step }) }))
  } catch (error) {
    log.close()
    throw error
  }
}

/** A short path for the report; run.json has the whole path. */
function dataText(data: DataDescription): string {
  const file = data.kind === 'idx' ? data.images : data.path
  return data.kind === 'folder'
    ? path.basename(file)
    : path.join(path.basename(path.dirname(file)), path.basename(file))
}

const sideText = (side: number | readonly number[]): string =>
  typeof side === 'number' ? String(side) : side.join(' to ')

/** Further values for the report, by the names of the API. */
function settingsOf(
  net: VGG,
  { training, model, start, freeze, seed }: RunDescription,
): Record<string, string | number> {
  const { imageSize, configuration, preprocessing } = net
  const side = preprocessing?.smallestSide
  return {
    imageSize: imageSize.join('x'),
    ...(side !== undefined && { smallestSide: sideText(side) }),
    width: configuration.width,
    ...(configuration.head === undefined && {
      headWidth: configuration.headWidth,
      dropout: configuration.dropout,
    }),
    initialisation: start.from ?? start.transplant ?? model.initialisation ?? modelTable.initialisation.check.fallback,
    learningRate: training.learningRate,
    momentum: training.momentum,
    weightDecay: training.weightDecay,
    ...(freeze.length > 0 && { freeze: freeze.join(', ') }),
    seed,
  }
}
