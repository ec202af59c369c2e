import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import type { TrainReport } from './events.js'
import { checkSame, fingerprintOf } from './fingerprint.js'
import { hashOf } from './frozen.js'
import { Saver } from './saver.js'
import { type Settings, settingsFrom, type TrainOptions } from './settings.js'
import { Training } from './training.js'

/**
 * Trains a network as the paper does (section 3.1): mini-batch SGD with momentum in Caffe's form
 * (v = momentum v - rate (gradient + decay w); w = w + v), soft-max with cross-entropy, order drawn anew each epoch.
 *
 * The network is changed in place and stays usable whatever happens: on an abort or an error it stands after the last
 * step that was done. Two steps are kept in flight, so that the next batch is read while the network computes. Calls
 * of others on the same network come between the steps, in the order made.
 *
 * With `checkpoint` the training may be killed at any moment: resumed from the newest checkpoint (`newestCheckpoint`,
 * `loadTraining`) it ends with the bytes that it would have ended with. It is saved also where it ends by `signal` or by
 * an error that leaves something to save; where a checkpoint cannot be written it stops, after the steps under way.
 *
 * @param net a network that takes images of the data's size, channels and classes
 * @param data the training images
 * @throws VggError INVALID_ARGUMENT, SHAPE_MISMATCH; ABORTED after `signal`; NOT_FINITE where the loss leaves all
 *   bounds (a smaller learning rate helps); FILE_WRITE, FOLDER_IN_USE for a checkpoint; RESUME_MISMATCH; FILE_FORMAT where
 *   not one image of an epoch could be read; whatever `data.read` or a callback throws, as it is
 */
export async function train(net: Network, data: Dataset, options: TrainOptions = {}): Promise<TrainReport> {
  const settings = settingsFrom(net, data, options)
  const { checkpoint, resume, recorded, validation, onCheckpoint } = settings
  // names and labels of a million images take a moment to digest
  const known = checkpoint !== undefined || resume !== undefined
  const conditions = known ? fingerprintOf(net, data, validation, recorded) : undefined
  if (conditions !== undefined && resume !== undefined) {
    checkPosition(net, resume.trainingStep)
    if (settings.differences === 'refuse') checkSame(conditions, resume.conditions)
  }
  const saver = checkpoint && (await Saver.open(checkpoint, resume, onCheckpoint))
  try {
    net.freeze(recorded.freeze)
    return await run(net, new Training(net, data, settings, { conditions, saver }), settings)
  } finally {
    await saver?.close()
  }
}

function checkPosition(net: Network, trainingStep: number): void {
  if (net.trainingStep === trainingStep) return
  const message = `Expected the network that was loaded with the state, after ${trainingStep} training steps, but received one after ${net.trainingStep}`
  throw new VggError('RESUME_MISMATCH', message)
}

async function run(net: Network, training: Training, { recorded, resume }: Settings): Promise<TrainReport> {
  const start = performance.now()
  const layers = recorded.freeze
  const hash = async (): Promise<string | null> => (layers.length === 0 ? null : hashOf(net, layers))
  const before = resume === undefined ? await hash() : resume.frozenBefore
  const report = await training.run(before)
  const after = await hash()
  const seconds = (performance.now() - start) / 1000
  return { ...report, seconds, frozen: before === null || after === null ? undefined : { layers, before, after } }
}
