import path from 'node:path'
import { asVgg, filled } from '../checkpoint/checkpoint.js'
import { bestName, checkpointsIn } from '../checkpoint/checkpoint-folder.js'
import { createModel } from '../checkpoint/model.js'
import { type OpenFile, withFile } from '../checkpoint/open-file.js'
import { readTraining, trainingText, writeArray } from '../checkpoint/training-file.js'
import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import { type Device, type RunOptions, runChecks } from '../network/open.js'
import { filePath, readOptions } from '../options.js'
import type { VGG } from '../vgg/vgg.js'
import { decodeState, type TrainingState } from './training-state.js'

/**
 * Loads a checkpoint of a training; `train(net, data, { resume: state, ... })` continues it bit for bit.
 * @param options options of the network; those left out, and the device `auto`, are as in the training. `train` refuses
 *   those that differ, unless its option `differences` accepts them
 * @throws FILE_NOT_FOUND; FILE_FORMAT for a file that is damaged, holds only a model, or has a newer format; errors of
 *   `VGG.create`
 */
export async function loadTraining(
  path: string,
  options: RunOptions = {},
): Promise<{ net: VGG; state: TrainingState }> {
  const { net, state } = await loadNetworkTraining(path, options)
  return { net: asVgg(net, path, 'loadNetworkTraining'), state }
}

/** As `loadTraining`, for any network. */
export async function loadNetworkTraining(
  path: string,
  options: RunOptions = {},
): Promise<{ net: Network; state: TrainingState }> {
  readOptions(options, 'loadTraining options', runChecks)
  return withFile(filePath(path, 'path'), async (file) => {
    const { device, ...others } = options
    const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined))
    const net = await createModel(file.model, { ...runOf(file, device), ...given })
    let state: TrainingState | undefined
    await filled(net, async () => {
      state = await fill(net, file)
    })
    return { net, state: state as TrainingState }
  })
}

/** The options that the network of a checkpoint was opened with; `asked` is the device to use now. */
function runOf(file: OpenFile, asked: Device = 'auto'): RunOptions {
  const { fingerprint } = decodeState(trainingText(file), new Map())
  const { device, precision, deterministic, seed, threads, exact } = fingerprint.network
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
      return await withFile(file, async (open) => decodeState(trainingText(open), new Map()).fingerprint.data.digest)
    } catch (error) {
      // each checkpoint of the training records the same digest
      if (!(error instanceof VggError)) throw error
    }
  }
  return undefined
}
