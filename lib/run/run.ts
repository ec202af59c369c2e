import path from 'node:path'
import { save } from '../checkpoint/checkpoint.js'
import { withEnd } from '../error.js'
import { checkNoLinks, linkAtomically, makeFolder } from '../files/atomic-file.js'
import { lockFolder } from '../files/folder-lock.js'
import { exists } from '../files/not-found.js'
import type { Group } from '../group/group.js'
import type { Callback } from '../options.js'
import type { EpochEvent, FeaturesEvent, StepEvent, TrainReport } from '../train/events.js'
import { loadNewestTraining, loadTraining } from '../train/load-training.js'
import { requestedIn } from '../train/options.js'
import type { TrainOptions } from '../train/settings.js'
import { leastPatience } from '../train/sized-options.js'
import { train } from '../train/trainer.js'
import type { TrainingState } from '../train/training-state.js'
import type { VGG } from '../vgg/vgg.js'
import { type Datasets, datasetsFor } from './datasets.js'
import { complete, type RunDescription } from './description.js'
import { type RunFile, runFiles, tidyRun, trainingsOf, writeRunFile } from './folder.js'
import { checkNew } from './new-folder.js'
import type { PlanStage } from './plan.js'
import { type OpenedTraining, openRecords } from './records.js'
import { findSources, type Sources } from './sources.js'
import { openNetwork, withStartModel } from './start.js'

/** Callbacks and options of one training of a run. Callbacks are awaited, and their errors end the run. */
export interface RunHooks {
  /** Called before the first step with the network, its datasets, and the steps and epochs done before. */
  onStart?: Callback<[net: VGG, data: Datasets, done: Pick<TrainingState, 'step' | 'epochsDone'> | undefined]>
  /** Called after each step. */
  onStep?: Callback<[event: StepEvent]>
  /** Called after each epoch, its validation included. */
  onEpoch?: Callback<[event: EpochEvent]>
  /** Called with a sentence for the user that is no error. */
  onNotice?: Callback<[text: string]>
  /** Called as the output of frozen leading layers is computed once, before the first step. */
  onFeatures?: Callback<[event: FeaturesEvent]>
  /** Whether a run may be resumed with other data, device or threads. Default refuse. */
  differences?: 'refuse' | 'accept'
  /** Whether frozen leading layers are computed once, if possible. Default auto. */
  frozenFeatures?: 'auto' | 'off'
  /** Ends the run after the steps in flight: it is saved and rejects with ABORTED. */
  signal?: AbortSignal
  /** Command line for the log. */
  command?: string
  /** Ranks that train together. This one is rank 0, which writes the run's folder; the others call `joinRun`. */
  group?: Group | undefined
}

/** Callbacks and options of a run, which is one training or a plan of several. */
export interface PlanHooks extends RunHooks {
  /** Called before each training of a plan that is not done yet; numbers start at 1. */
  onStage?: Callback<[stage: PlanStage, number: number, of: number]>
}

/**
 * Creates the folder of a new run and writes its run.json. For a run that continues from a model (`start.from`) the network
 * of that model is filled in.
 *
 * @param found the images, if they have been found already
 * @returns the content of run.json
 * @throws INVALID_ARGUMENT as `checkNew`, and if the description asks for another network than that of the model; FILE_WRITE;
 *   FOLDER_IN_USE if another process creates or continues a run there; errors of finding the data and of reading the model
 */
export async function createRun(folder: string, file: RunFile, found?: Sources): Promise<RunFile> {
  await checkNew(folder, file.description)
  const written = await withStart(file, found)
  await makeFolder(folder)
  const lock = await lockFolder(folder)
  const write = async (): Promise<void> => {
    // another process may have created a run while this one read the data
    await checkNew(folder, file.description)
    await tidyRun(folder)
    await writeRunFile(folder, written)
  }
  await withEnd(write, () => lock.release())
  return written
}

/** The content of run.json with the network of the model that the run continues from, if it does. */
async function withStart(file: RunFile, found: Sources | undefined): Promise<RunFile> {
  const description = complete(file.description)
  const sources = description.start.from === undefined ? undefined : (found ?? (await findSources(description)))
  return { ...file, description: sources ? await withStartModel(description, sources) : description }
}

/**
 * Runs the trainings of a folder that are not done yet, each from its newest checkpoint.
 *
 * @param found the images, if they have been found already
 * @returns the report of the last training; undefined if all were done already
 */
export async function runAll(
  folder: string,
  file: RunFile,
  hooks: PlanHooks,
  found?: Sources,
): Promise<TrainReport | undefined> {
  const lock = await lockFolder(folder)
  try {
    const report = await runLocked(folder, file, hooks, found)
    await hooks.group?.share<Assignment>(() => ({ kind: 'end' }))
    return report
  } finally {
    await lock.release()
  }
}

/** What rank 0 of a group passes to the others: the next training of the run, or that there is none. */
type Assignment =
  | {
      readonly kind: 'training'
      readonly description: RunDescription
      readonly checkpoints: string
      /** The checkpoint to continue from. */
      readonly from?: string | undefined
    }
  | { readonly kind: 'end' }

/**
 * Takes part in the trainings that rank 0 of a group runs by `runAll`. Data, models and checkpoints are read by the same paths as
 * on rank 0; nothing is written.
 * @throws as `train` and `runAll`
 */
export async function joinRun(group: Group, hooks: RunHooks): Promise<void> {
  let sources: Sources | undefined
  for (;;) {
    const assigned = await group.share<Assignment>(() => ({ kind: 'end' }))
    if (assigned.kind === 'end') return
    const { description, checkpoints, from } = assigned
    sources ??= await findSources(description)
    const options = { ...description.device, seed: description.seed, group }
    const loaded = from === undefined ? undefined : await loadTraining(from, options)
    const net = loaded?.net ?? (await openNetwork(description, sources, group))
    try {
      const opened = { net, data: datasetsFor(sources, description, net), state: loaded?.state }
      await train(net, opened.data.training, optionsOf(description, checkpoints, opened, hooks))
    } finally {
      net.dispose()
    }
  }
}

async function runLocked(folder: string, file: RunFile, hooks: PlanHooks, found: Sources | undefined) {
  // all trainings of a plan share the images
  let sources = found
  const stages = trainingsOf(folder, file)
  let last: TrainReport | undefined
  for (const [index, stage] of stages.entries()) {
    const own = path.join(folder, stage.name)
    const { description, log, model } = runFiles(own)
    await tidyRun(own)
    if (await exists(model)) continue
    await checkNoLinks([description, log, model])
    await hooks.onStage?.(stage, index + 1, stages.length)
    sources ??= await findSources(file.description)
    if (!(await exists(description)))
      await writeRunFile(own, await withStart({ ...file, plan: undefined, description: stage.description }, sources))
    last = await runIn(own, stage.description, sources, hooks)
  }
  const final = path.join(folder, stages.at(-1)?.name ?? '.')
  // the model of the last training is that of the run
  if (final !== path.normalize(folder)) await linkAtomically(runFiles(final).model, runFiles(folder).model)
  return last
}

/** Runs one training, from its start or its newest checkpoint, and saves the model. */
async function runIn(
  folder: string,
  description: RunDescription,
  sources: Sources,
  hooks: RunHooks,
): Promise<TrainReport> {
  const { model, checkpoints } = runFiles(folder)
  const { group } = hooks
  const options = { ...description.device, seed: description.seed, ...(group && { group }) }
  const newest = await loadNewestTraining(checkpoints, options)
  for (const { path, reason } of newest?.passedOver ?? []) await hooks.onNotice?.(`skipped ${path}: ${reason}`)
  await group?.share<Assignment>(() => ({ kind: 'training', description, checkpoints, from: newest?.path }))
  const net = newest?.net ?? (await openNetwork(description, sources, group))
  try {
    const data = datasetsFor(sources, description, net)
    const report = await recorded(folder, description, { net, data, state: newest?.state }, hooks)
    await save(net, model)
    return report
  } finally {
    net.dispose()
  }
}

async function recorded(
  folder: string,
  description: RunDescription,
  opened: OpenedTraining,
  hooks: RunHooks,
): Promise<TrainReport> {
  const { net, data, state } = opened
  const { checkpoints } = runFiles(folder)
  const records = await openRecords(folder, state)
  const training = async (): Promise<TrainReport> => {
    records.start(description, opened, hooks.command)
    if (records.notice !== undefined) await hooks.onNotice?.(records.notice)
    await hooks.onStart?.(net, data, state)
    const options = optionsOf(description, checkpoints, opened, hooks)
    const report = await train(net, data.training, {
      ...options,
      checkpoint: { ...options.checkpoint, before: () => records.sync() },
      onStep(event) {
        records.step(event)
        return hooks.onStep?.(event)
      },
      onEpoch(event) {
        records.epoch(event)
        return hooks.onEpoch?.(event)
      },
      onRefused: (event) => records.refused(event),
      onCheckpoint: (event) => records.checkpoint(event),
    })
    records.end(report)
    // before the model, by which a run is known to have ended
    await records.sync()
    return report
  }
  const failed = (error: unknown): never => {
    records.failed(error)
    throw error
  }
  return withEnd(
    () => training().catch(failed),
    () => records.close(),
  )
}

/** The options of a training of a run, but for its records. */
function optionsOf(
  description: RunDescription,
  folder: string,
  { data, state }: OpenedTraining,
  { differences, frozenFeatures, onNotice, onFeatures, signal }: RunHooks,
) {
  const { keep, minutes } = description.checkpoints
  return {
    ...description.training,
    ...(state === undefined && olderDefaults(description, data)),
    ...requestedIn('run', description),
    // image files are mirrored by their dataset
    flip: description.flip === true && data.training.readAugmented === undefined,
    ...(data.validation && { validation: data.validation }),
    ...(state && { resume: state }),
    ...(differences && { differences }),
    ...(frozenFeatures && { frozenFeatures }),
    ...(onNotice && { onNotice }),
    ...(onFeatures && { onFeatures }),
    ...(signal && { signal }),
    checkpoint: { folder, keep, everyMinutes: minutes },
  } satisfies TrainOptions
}

/** A run.json of an older version may lack the schedule and its patience, and have a batch of more images than there are. */
function olderDefaults({ training }: RunDescription, { training: { count }, validation }: Datasets): TrainOptions {
  const given = training.schedule ?? (validation === undefined ? 'constant' : 'plateau')
  const schedule = given === 'plateau' ? { kind: given } : given
  const isPlateau = typeof schedule === 'object' && schedule.kind === 'plateau'
  return {
    batch: Math.min(training.batch, count),
    schedule: isPlateau ? { patience: leastPatience, ...schedule } : schedule,
  }
}
