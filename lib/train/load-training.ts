import path from 'node:path'
import { filled } from '../checkpoint/checkpoint.js'
import { bestName, checkpointsIn, type FoundCheckpoint, newestUsable } from '../checkpoint/checkpoint-folder.js'
import { createModel, vggModel } from '../checkpoint/model.js'
import { type OpenFile, withFile } from '../checkpoint/open-file.js'
import { readTraining, trainingText, writeArray } from '../checkpoint/training-file.js'
import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import { type Device, type RunOptions, runChecks } from '../network/open.js'
import { filePath, readOptions } from '../options.js'
import type { VGG } from '../vgg/vgg.js'
import { decodeFingerprint, decodeState, type TrainingState } from './training-state.js'

/**
 * Loads a checkpoint of a training. `train(net, data, { resume: state, ... })` then continues it bit for bit.
 * @param options default to those of the training, also for the device `auto`; `train` refuses differences that change
 *   the result, except with `differences: 'accept'`
 * @throws FILE_NOT_FOUND, FILE_FORMAT if the file is damaged, a model only, or of a newer format, and the errors of
 *   `VGG.create`
 */
export async function loadTraining(
  path: string,
  options: RunOptions = {},
): Promise<{ net: VGG; state: TrainingState }> {
  return loadFile(path, options, (file, run) => createModel(vggModel(file.model, 'loadNetworkTraining'), run))
}

/** Loads a checkpoint of a training of any network, see `loadTraining`. */
export async function loadNetworkTraining(
  path: string,
  options: RunOptions = {},
): Promise<{ net: Network; state: TrainingState }> {
  return loadFile(path, options, (file, run) => createModel(file.model, run))
}

/** The newest usable checkpoint in a folder, loaded. */
export interface LoadedCheckpoint extends FoundCheckpoint {
  /** The network; the caller disposes of it. */
  readonly net: VGG
  /** State of the training, for the option `resume` of `train`. */
  readonly state: TrainingState
}

/**
 * Finds and loads the newest usable checkpoint in a folder, reading each file once; see `loadTraining`. Damaged files are
 * skipped and listed in `passedOver`.
 * @returns undefined if the folder contains no checkpoint
 * @throws FILE_FORMAT if no checkpoint is usable or the newest is of a newer format, and the errors of `VGG.create`
 */
export async function loadNewestTraining(
  folder: string,
  options: RunOptions = {},
): Promise<LoadedCheckpoint | undefined> {
  const newest = await newestUsable(filePath(folder, 'folder'), (file) => loadTraining(file, options))
  return newest && { path: newest.path, step: newest.step, passedOver: newest.passedOver, ...newest.value }
}

async function loadFile<N extends Network>(
  path: string,
  options: RunOptions,
  create: (file: OpenFile, run: RunOptions) => Promise<N>,
): Promise<{ net: N; state: TrainingState }> {
  readOptions(options, 'loadTraining options', runChecks)
  return withFile(filePath(path, 'path'), async (file) => {
    const { device, ...others } = options
    const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined))
    const net = await create(file, { ...runOf(file, device), ...given })
    return { net, state: await filled(net, () => fill(net, file)) }
  })
}

/** The options that the network of a checkpoint was opened with; `asked` is the device to use now. */
function runOf(file: OpenFile, asked: Device = 'auto'): RunOptions {
  const { device, precision, deterministic, seed, threads, exact } = decodeFingerprint(trainingText(file)).network
  const before = { deterministic, seed, threads, exact }
  // the precision of one device need not exist on another
  if (asked !== 'auto' && asked !== device) return { ...before, device: asked }
  return { ...before, device: device as Device, precision }
}

async function fill(net: Network, file: OpenFile): Promise<TrainingState> {
  const tables = await readTraining(file, (entry, data) => writeArray(net, entry, data))
  const state = decodeState(trainingText(file), tables)
  await net.setTrainingStep(state.trainingStep)
  return state
}

/** Returns an open network to a checkpoint of its training. */
export async function goBackTo(path: string, net: Network): Promise<TrainingState> {
  return withFile(path, (file) => fill(net, file))
}

/**
 * The digest of a training's data (see `digestOf`), as recorded in the checkpoints in a folder. Reads a header, no weights.
 *
 * @returns undefined if no checkpoint can be read
 */
export async function recordedDigest(folder: string): Promise<string | undefined> {
  const files = (await checkpointsIn(folder)).map((found) => found.path)
  for (const file of [...files, path.join(folder, bestName)]) {
    try {
      return await withFile(file, async (open) => decodeFingerprint(trainingText(open)).data.digest)
    } catch (error) {
      // each checkpoint of the training records the same digest
      if (!(error instanceof VggError)) throw error
    }
  }
  return undefined
}
