import type { Dataset } from '../data/dataset.js'
import { Loader } from '../data/loader.js'
import { messageOf, VggError } from '../error.js'
import { evaluate } from '../evaluate/evaluate.js'
import type { Network } from '../network/network.js'
import { mostNamed } from './epoch-sums.js'
import type { EpochEvent, TrainReport } from './events.js'
import type { Fingerprint } from './fingerprint.js'
import { goBackTo } from './load-training.js'
import type { Saver } from './saver.js'
import type { Settings } from './settings.js'
import { Steps } from './steps.js'
import { TrainingProgress } from './training-progress.js'

/** A training from where it begins to its end. */
export class Training {
  readonly #net: Network
  readonly #settings: Settings
  readonly #loader: Loader
  readonly #saver: Saver | undefined
  readonly #progress: TrainingProgress
  readonly #steps: Steps
  #images = 0
  #stepSeconds = 0

  constructor(
    net: Network,
    data: Dataset,
    settings: Settings,
    { conditions, saver }: { conditions: Fingerprint | undefined; saver: Saver | undefined },
  ) {
    this.#net = net
    this.#settings = settings
    this.#saver = saver
    const { batch, seed, shift, background, epochs } = settings.recorded
    this.#loader = new Loader(data, { batch, seed, shift, background, epochs })
    this.#progress = new TrainingProgress(this.#loader.state, conditions)
    this.#steps = new Steps(net, this.#loader, settings, this.#progress)
    if (settings.resume !== undefined) {
      this.#progress.restore(settings.resume)
      this.#loader.restore(settings.resume.loader)
    }
  }

  /** @param frozenBefore hash of the frozen layers before the first step */
  async run(frozenBefore: string | null): Promise<Omit<TrainReport, 'seconds' | 'frozen'>> {
    const progress = this.#progress
    progress.frozenBefore = frozenBefore
    try {
      // there must be something to go back to
      if (typeof this.#settings.recorded.onNotFinite === 'object') await this.#save(false)
      while (progress.epochsDone < this.#settings.recorded.epochs && !progress.schedule.ended) await this.#epochOrBack()
      await this.#saver?.settled()
    } catch (error) {
      throw await this.#rescued(error)
    }
    return {
      history: progress.history,
      steps: progress.step,
      imagesPerSecond: this.#images / this.#stepSeconds,
      ended: progress.schedule.ended ? 'schedule' : 'epochs',
      checkpoint: this.#saver?.last,
    }
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
    const { validation, signal, recorded, onEpoch } = this.#settings
    const { sums } = progress
    await this.#steps.run(this.#saver, () => this.#save(false))
    this.#stepSeconds += sums.seconds()
    this.#images += sums.images()
    const figures = { ...sums.figures(), imagesPerSecond: sums.imagesPerSecond() }
    const batch = Math.min(recorded.batch, 256)
    const metrics = validation && (await evaluate(this.#net, validation, { batch, signal }))
    const event: EpochEvent = {
      epoch: progress.epochsDone + 1,
      epochs: recorded.epochs,
      steps: progress.step,
      ...figures,
      validation: metrics && { ...metrics, unreadable: metrics.unreadable.slice(0, mostNamed) },
      seconds: sums.seconds(),
    }
    await onEpoch?.(event)
    await this.#save(progress.finishEpoch(event, recorded.schedule))
  }

  async #save(best: boolean): Promise<void> {
    await this.#saver?.save(this.#net, this.#progress.state(this.#net.trainingStep), best)
  }

  /** Back to the last checkpoint, and on at a lower rate. */
  async #goBack(error: VggError): Promise<void> {
    const progress = this.#progress
    const { onNotFinite } = this.#settings.recorded
    if (typeof onNotFinite !== 'object' || progress.timesBack >= onNotFinite.times) throw error
    await this.#saver?.settled()
    const { last } = this.#saver ?? {}
    if (last === undefined) throw error
    const timesBack = progress.timesBack + 1
    const rateFactor = progress.rateFactor * onNotFinite.back
    const state = await goBackTo(last, this.#net).catch((cause) => {
      // the network may hold a part of the checkpoint: by this code it is not saved
      throw new VggError('NOT_FINITE', `${error.message}; the training could not go back: ${messageOf(cause)}`, {
        cause,
      })
    })
    progress.restore(state)
    // the checkpoint may be from before another time
    Object.assign(progress, { timesBack, rateFactor })
    this.#loader.restore(progress.loader)
  }

  /** Saves what is learned where the training ends before its time. @returns the error to reject with */
  async #rescued(error: unknown): Promise<unknown> {
    const saver = this.#saver
    const code = error instanceof VggError ? error.code : undefined
    const lost = ['DISPOSED', 'DEVICE_LOST', 'NOT_FINITE', 'FOLDER_IN_USE'].some((one) => one === code)
    if (saver === undefined || saver.failure !== undefined || lost || this.#progress.step === 0) return error
    try {
      await this.#save(false)
      await saver.settled()
    } catch (failure) {
      return code === 'ABORTED' ? failure : error
    }
    if (code !== 'ABORTED' || !(error instanceof VggError)) return error
    return new VggError('ABORTED', `${error.message}; it is saved in ${saver.last}`, { cause: error.cause })
  }
}
