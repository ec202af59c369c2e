import type { Dataset } from '../data/dataset.js'
import { Loader } from '../data/loader.js'
import { messageOf, VggError } from '../error.js'
import { type Evaluation, evaluateParts } from '../evaluate/evaluate.js'
import type { Network } from '../network/network.js'
import { chanceText } from './chance.js'
import type { EpochEvent, TrainReport } from './events.js'
import { validationBatch } from './feature-plan.js'
import { checkSame, checkSameOnAll, type Fingerprint, fingerprintOf } from './fingerprint.js'
import { type FrozenFeatures, frozenFeatures, removeFeatures } from './frozen-features.js'
import { goBackTo } from './load-training.js'
import { rateText } from './log.js'
import { Saver } from './saver.js'
import { hashOf, type LayerNameOf, type Settings, settingsFrom, type TrainOptions } from './settings.js'
import { Steps } from './steps.js'
import { mostNamed, TrainingProgress } from './training-progress.js'

/**
 * Trains a network as the paper does (section 3.1): mini-batch SGD with momentum in Caffe's form
 * (v = momentum v - rate (gradient + decay w); w = w + v), soft-max with cross-entropy, a new random order each epoch.
 *
 * The network itself is changed and stays usable: after an abort or an error it has the weights of the last step done.
 * Two steps are kept in flight, so that the next batch is read while the network computes. Other calls on the same network
 * run between the steps, in the order in which they are made.
 *
 * With `checkpoint` the training may be killed at any moment: resumed from the newest checkpoint (`newestCheckpoint`,
 * `loadTraining`) it ends with the same bytes. A training that ends by `signal` or by an error is saved if there is anything
 * to save. If a checkpoint cannot be written, the training stops after the steps in flight.
 *
 * Callbacks may be asynchronous: a returned promise is awaited, and its rejection ends the training as a thrown error does.
 *
 * @param net network that takes images of the data's size and channels, with at least as many classes
 * @param data training images
 * @throws VggError INVALID_ARGUMENT, SHAPE_MISMATCH; ABORTED after `signal`; NOT_FINITE if the loss diverges, with the
 *   step, its learning rate, the last finite loss, the last checkpoint and what to try; FILE_WRITE, FOLDER_IN_USE for a
 *   checkpoint; RESUME_MISMATCH; FILE_FORMAT if no image of an epoch can be read; errors of `data.read` and of callbacks,
 *   unchanged
 */
export async function train<Net extends Network>(
  net: Net,
  data: Dataset,
  options: TrainOptions<LayerNameOf<Net>> = {},
): Promise<TrainReport> {
  const settings = settingsFrom(net, data, options)
  const { group } = net
  if (group === undefined) return trainAlone(net, data, settings)
  try {
    const report = await trainAlone(net, data, settings)
    // the last checkpoint is on disk
    await group.gather(undefined)
    return report
  } catch (error) {
    const isShared = error instanceof VggError && sharedCodes.some((code) => code === error.code)
    if (!isShared) await group.abandon(error)
    throw error
  }
}

/** The errors that all ranks of a group throw at the same step. */
const sharedCodes = ['ABORTED', 'NOT_FINITE', 'GROUP_LOST', 'GROUP_MISMATCH'] as const

/** The training of one process; in a group of one of its ranks. */
async function trainAlone(net: Network, data: Dataset, settings: Settings): Promise<TrainReport> {
  const { trainingStep, group } = net
  const start = performance.now()
  const { checkpoint, resume, recorded, validation, onCheckpoint } = settings
  // the digest of a million names and labels takes a moment
  const known = checkpoint !== undefined || resume !== undefined || group !== undefined
  const fingerprint = known ? fingerprintOf(net, data, validation, recorded) : undefined
  if (fingerprint !== undefined && group !== undefined) await checkSameOnAll(group, fingerprint, trainingStep)
  if (fingerprint !== undefined && resume !== undefined) {
    checkPosition(trainingStep, resume.trainingStep)
    if (settings.differences === 'refuse') checkSame(fingerprint, resume.fingerprint)
  }
  await net.checkSameParameters()
  const { batch, dropLast, seed, shift, background, epochs } = recorded
  const part = group && { rank: group.rank, size: group.size }
  const loaderOf = (of: Dataset, flip: boolean): Loader => {
    const loader = new Loader(of, { batch, dropLast, seed, shift, background, flip, epochs, part })
    if (resume !== undefined) loader.restore(resume.loader)
    return loader
  }
  const images = loaderOf(data, recorded.flip)
  // one rank saves for all
  const saves = checkpoint !== undefined && (group === undefined || group.rank === 0)
  const saver = saves ? await Saver.open(checkpoint, resume, onCheckpoint) : undefined
  try {
    net.freeze(recorded.freeze)
    const features = await frozenFeatures(net, data, settings, epochs - (resume?.epochsDone ?? 0))
    const loader = features === undefined ? images : loaderOf(features.training.dataset, false)
    const training = new Training(net, { loader, features }, settings, { fingerprint, saver })
    const report = await run(net, training, settings, start)
    // also those of an earlier process, which a training of few epochs left does not use
    if (saves) await removeFeatures(checkpoint.folder)
    return report
  } finally {
    await saver?.close()
  }
}

function checkPosition(now: number, trainingStep: number): void {
  if (now === trainingStep) return
  const message = `Expected the network that was loaded with the state, after ${trainingStep} training steps, but received one after ${now}`
  throw new VggError('RESUME_MISMATCH', message)
}

/** @param start time at which the training was called */
async function run(
  net: Network,
  training: Training,
  { recorded, resume }: Settings,
  start: number,
): Promise<TrainReport> {
  const layers = recorded.freeze
  const hash = async (): Promise<string | null> => (layers.length === 0 ? null : hashOf(net, layers))
  const before = resume === undefined ? await hash() : resume.frozenBefore
  const report = await training.run(before)
  const after = await hash()
  const seconds = (performance.now() - start) / 1000
  return { ...report, seconds, frozen: before === null || after === null ? undefined : { layers, before, after } }
}

/** One training: its epochs, checkpoints, and returns to a checkpoint. */
class Training {
  readonly #net: Network
  readonly #settings: Settings
  readonly #loader: Loader
  readonly #features: FrozenFeatures | undefined
  readonly #saver: Saver | undefined
  readonly #progress: TrainingProgress
  readonly #steps: Steps
  #images = 0
  #stepSeconds = 0

  constructor(
    net: Network,
    { loader, features }: { loader: Loader; features: FrozenFeatures | undefined },
    settings: Settings,
    { fingerprint, saver }: { fingerprint: Fingerprint | undefined; saver: Saver | undefined },
  ) {
    this.#net = net
    this.#settings = settings
    this.#saver = saver
    this.#loader = loader
    this.#features = features
    this.#progress = new TrainingProgress(loader.state, fingerprint)
    this.#steps = new Steps(net, { loader, features }, settings, this.#progress)
    if (settings.resume !== undefined) this.#progress.restore(settings.resume)
  }

  /** @param frozenBefore hash of the frozen layers before the first step */
  async run(frozenBefore: string | null): Promise<Omit<TrainReport, 'seconds' | 'frozen'>> {
    const progress = this.#progress
    progress.setFrozenBefore(frozenBefore)
    try {
      // going back needs a checkpoint
      if (typeof this.#settings.recorded.onNotFinite === 'object') await this.#save(false)
      while (!this.#isDone()) await this.#epochOrBack()
      await this.#saver?.settled()
    } catch (error) {
      throw await this.#rescued(error)
    }
    const { history } = progress
    const { step: steps } = progress.state
    const { count: images, classNames } = this.#loader.data
    return {
      history,
      steps,
      noBetterThanChance: chanceText(history, { steps, images, classes: classNames.length }),
      imagesPerSecond: this.#images / this.#stepSeconds,
      ended: progress.state.schedule.ended ? 'schedule' : 'epochs',
      checkpoint: this.#saver?.last,
    }
  }

  #isDone(): boolean {
    const { epochsDone, schedule } = this.#progress.state
    return schedule.ended || epochsDone >= this.#settings.recorded.epochs
  }

  async #epochOrBack(): Promise<void> {
    try {
      await this.#runEpoch()
    } catch (error) {
      if (!(error instanceof VggError && error.code === 'NOT_FINITE')) throw error
      await this.#goBack(error)
    }
  }

  async #runEpoch(): Promise<void> {
    const progress = this.#progress
    const { recorded, onEpoch } = this.#settings
    await this.#steps.run(this.#saver, () => this.#save(false))
    this.#stepSeconds += progress.seconds
    this.#images += progress.images
    const figures = progress.epochFigures()
    const metrics = await this.#evaluation()
    await this.#net.checkSameParameters()
    const event: EpochEvent = {
      epoch: progress.state.epochsDone + 1,
      epochs: recorded.epochs,
      steps: progress.state.step,
      ...figures,
      // not a copy, which would have the confusion matrix made
      validation: metrics && Object.assign(metrics, { unreadable: metrics.unreadable.slice(0, mostNamed) }),
      seconds: progress.seconds,
    }
    await onEpoch?.(event)
    await this.#save(progress.finishEpoch(event, recorded.schedule))
  }

  async #evaluation(): Promise<Evaluation | undefined> {
    const { validation, signal, recorded } = this.#settings
    if (validation === undefined) return undefined
    const [net, batch] = [this.#net, validationBatch(recorded.batch)]
    const { group } = net
    // the ranks of a group end after a step
    const options = { batch, signal: group === undefined ? signal : undefined }
    const { tensor: from, validation: features } = this.#features ?? {}
    if (features === undefined) return evaluateParts(net, [validation], options, { group })
    return evaluateParts(net, [features.dataset], options, {
      forward: (images) => net.forward(features.valuesOf(images), { from }),
    })
  }

  async #save(best: boolean): Promise<void> {
    await this.#saver?.save(this.#net, this.#progress.saved(this.#net.trainingStep), best)
  }

  /** Returns to the last checkpoint, to continue at a lower rate. */
  async #goBack(error: VggError): Promise<void> {
    const progress = this.#progress
    const { onNotFinite } = this.#settings.recorded
    if (typeof onNotFinite !== 'object' || progress.state.timesBack >= onNotFinite.times) throw error
    const last = await this.#lastCheckpoint()
    if (last === undefined) throw error
    const timesBack = progress.state.timesBack + 1
    const rateFactor = progress.state.rateFactor * onNotFinite.back
    const state = await goBackTo(last, this.#net).catch((cause) => {
      // the network may hold part of the checkpoint; with this code it is not saved
      throw new VggError('NOT_FINITE', `${error.message}; the training could not go back: ${messageOf(cause)}`, {
        cause,
      })
    })
    // the checkpoint may be older than an earlier return, so its own values do not count
    progress.restore(state, { timesBack, rateFactor })
    this.#loader.restore(state.loader)
  }

  /** Path of the newest checkpoint, when it is on disk; in a group that of rank 0. */
  async #lastCheckpoint(): Promise<string | undefined> {
    const saved = async (): Promise<string | undefined> => {
      await this.#saver?.settled()
      return this.#saver?.last
    }
    const { group } = this.#net
    return group === undefined ? saved() : group.share(saved)
  }

  /** Saves a training that ends early. @returns the error to reject with */
  async #rescued(error: unknown): Promise<unknown> {
    const saver = this.#saver
    const code = error instanceof VggError ? error.code : undefined
    if (code === 'NOT_FINITE') return this.#diverged(error as VggError)
    const lost = ['DISPOSED', 'DEVICE_LOST', 'FOLDER_IN_USE', 'GROUP_LOST'].some((known) => known === code)
    if (saver === undefined || saver.failure !== undefined || lost || this.#progress.state.step === 0) return error
    try {
      await this.#save(false)
      await saver.settled()
    } catch (failure) {
      return code === 'ABORTED' ? failure : error
    }
    if (code !== 'ABORTED' || !(error instanceof VggError)) return error
    return new VggError('ABORTED', `${error.message}; it is saved in ${saver.last}`, { cause: error.cause })
  }

  /** The error of a training that diverged, with the checkpoint before it and the options to try. */
  #diverged(error: VggError): VggError {
    const { learningRate, onNotFinite } = this.#settings.recorded
    const last = this.#saver?.last
    const saved = last === undefined ? 'no checkpoint was written' : `the last checkpoint is ${last}`
    const rate = rateText((learningRate * this.#progress.state.rateFactor) / 10)
    const back = typeof onNotFinite === 'object' ? '' : ", or onNotFinite 'back' (--on-not-finite back)"
    const message = `${error.message}; ${saved}; try learningRate ${rate} (--learning-rate ${rate})${back}`
    return new VggError('NOT_FINITE', message, { cause: error.cause })
  }
}
