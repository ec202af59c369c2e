import { asVgg, filled } from '../checkpoint/checkpoint.js'
import { createModel } from '../checkpoint/model.js'
import { type OpenFile, withFile } from '../checkpoint/open-file.js'
import { readTraining, trainingText, writeArray } from '../checkpoint/training-file.js'
import type { Network } from '../network/network.js'
import { type Device, type RunOptions, runChecks } from '../network/open.js'
import { filePath, readOptions } from '../options.js'
import type { VGG } from '../vgg/vgg.js'
import { decodeState, type TrainingState } from './training-state.js'

/**
 * Loads a checkpoint of a training: `train(net, data, { resume: state, ... })` goes on bit for bit.
 * @param options what is left out, and the device `auto`, is as it was in the training; what differs from it is refused
 *   by `train`, unless it is told to accept it
 * @throws FILE_NOT_FOUND, FILE_FORMAT for a file that is damaged, a model only, or of a newer format, and what
 *   `VGG.create` throws
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

/** How the network of a checkpoint was opened, as options; `asked` is the device for now. */
function runOf(file: OpenFile, asked: Device = 'auto'): RunOptions {
  const { conditions } = decodeState(trainingText(file), new Map())
  const { device, precision, deterministic, seed, threads, exact } = conditions.network
  const before = { deterministic, seed, threads, exact }
  // another device has its own precision
  if (asked !== 'auto' && asked !== device) return { ...before, device: asked }
  return { ...before, device: device as Device, precision }
}

async function fill(net: Network, file: OpenFile): Promise<TrainingState> {
  const tables = await readTraining(file, (entry, data) => writeArray(net, entry, data))
  const state = decodeState(trainingText(file), tables)
  await net.setTrainingStep(state.trainingStep)
  return state
}

/** Takes a network that is there back to a checkpoint of its own training. */
export async function goBackTo(path: string, net: Network): Promise<TrainingState> {
  return withFile(path, (file) => fill(net, file))
}
