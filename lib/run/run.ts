import { save } from '../checkpoint/checkpoint.js'
import { newestUsable } from '../checkpoint/checkpoint-folder.js'
import type { EpochEvent, StepEvent, TrainReport } from '../train/events.js'
import { loadTraining } from '../train/load-training.js'
import { train } from '../train/trainer.js'
import type { TrainingState } from '../train/training-state.js'
import type { VGG } from '../vgg/vgg.js'
import { type Datasets, datasetsFor } from './datasets.js'
import type { RunDescription } from './description.js'
import { runFiles } from './folder.js'
import { type Begun, openRecords } from './records.js'
import type { Sources } from './sources.js'
import { openNetwork } from './start.js'

/** What a run says as it goes, and how it is stopped. */
export interface RunHooks {
  /** Before the first step: the network, its images, and the steps and whole epochs that were done before. */
  onStart?: (net: VGG, data: Datasets, done: Pick<TrainingState, 'step' | 'epochsDone'> | undefined) => void
  /** After each step. */
  onStep?: (event: StepEvent) => void
  /** After each epoch, its validation included. */
  onEpoch?: (event: EpochEvent) => void
  /** What is worth saying, and no error. */
  onNotice?: (text: string) => void
  /** Whether it may go on where data, device or threads are others than they were. Default 'refuse'. */
  differences?: 'refuse' | 'accept'
  /** Ends it after the steps under way, saved: it rejects with ABORTED. */
  signal?: AbortSignal
  /** The command, for the log. */
  command?: string
}

/**
 * Trains what is described in a folder, from its beginning or from its newest checkpoint, until its model is there.
 *
 * @throws what reading the data, opening the network and `train` throw
 */
export async function runIn(
  folder: string,
  description: RunDescription,
  sources: Sources,
  hooks: RunHooks,
): Promise<TrainReport> {
  const { model, checkpoints } = runFiles(folder)
  const options = { ...description.device, seed: description.seed }
  const newest = await newestUsable(checkpoints, (file) => loadTraining(file, options))
  for (const { path, reason } of newest?.passedOver ?? []) hooks.onNotice?.(`passed over ${path}: ${reason}`)
  const net = newest?.value.net ?? (await openNetwork(description, sources))
  try {
    const data = datasetsFor(sources, description, net)
    const report = await recorded(folder, description, { net, data, state: newest?.value.state }, hooks)
    await save(net, model)
    return report
  } finally {
    net.dispose()
  }
}

async function recorded(
  folder: string,
  description: RunDescription,
  begun: Begun,
  hooks: RunHooks,
): Promise<TrainReport> {
  const { net, data, state } = begun
  const { checkpoints } = runFiles(folder)
  const { keep, minutes } = description.checkpoints
  const records = await openRecords(folder, description, begun, hooks.command)
  if (records.notice !== undefined) hooks.onNotice?.(records.notice)
  hooks.onStart?.(net, data, state)
  try {
    const report = await train(net, data.training, {
      ...description.training,
      seed: description.seed,
      shift: description.shift,
      background: description.background,
      freeze: description.freeze,
      rates: description.rates,
      ...(data.validation && { validation: data.validation }),
      ...(state && { resume: state }),
      ...(hooks.differences && { differences: hooks.differences }),
      ...(hooks.signal && { signal: hooks.signal }),
      checkpoint: { folder: checkpoints, keep, everyMinutes: minutes, before: () => records.sync() },
      onStep(event) {
        records.step(event)
        hooks.onStep?.(event)
      },
      onEpoch(event) {
        records.epoch(event)
        hooks.onEpoch?.(event)
      },
      onRefused: (event) => records.refused(event),
      onCheckpoint: (event) => records.checkpoint(event),
    })
    records.end(report)
    return report
  } catch (error) {
    records.failed(error)
    throw error
  } finally {
    records.close()
  }
}
