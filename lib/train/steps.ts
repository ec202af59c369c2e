import type { Dataset } from '../data/dataset.js'
import type { Batch, Loader } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import type { StepOptions } from '../network/arguments.js'
import type { Network } from '../network/network.js'
import type { FrozenFeatures } from './frozen-features.js'
import { rateText } from './log.js'
import type { Saver } from './saver.js'
import { rateAt } from './schedule.js'
import type { Settings } from './settings.js'
import type { TrainingProgress } from './training-progress.js'

/** One step computes while the next one waits; more would only hold memory. */
const stepsInFlight = 2

/** A step in flight. */
interface Position {
  /** Number of the step in the training, from 1. */
  readonly step: number
  /** Index of its batch in the epoch, from 0. */
  readonly index: number
  readonly learningRate: number
  /** The preceding step, which is recorded first. */
  readonly previous: Promise<void>
}

/** Runs the steps of a training, epoch by epoch, and records them in `progress` in order. */
export class Steps {
  readonly #net: Network
  readonly #loader: Loader
  readonly #features: FrozenFeatures | undefined
  readonly #settings: Settings
  readonly #progress: TrainingProgress
  /** The last step of this process whose loss was finite. */
  #lastFinite: { readonly step: number; readonly loss: number } | undefined
  /** The error of the last refused step. */
  #refusal: VggError | undefined
  /** Whether the steps in flight will be undone. */
  #undone = false

  /**
   * @param input `loader` reads the batches. Without `features` they are images, and a step computes all layers; with
   *   `features` they are values of the tensor `features.tensor`, and a step computes only the layers after it
   */
  constructor(
    net: Network,
    input: { readonly loader: Loader; readonly features: FrozenFeatures | undefined },
    settings: Settings,
    progress: TrainingProgress,
  ) {
    this.#net = net
    this.#loader = input.loader
    this.#features = input.features
    this.#settings = settings
    this.#progress = progress
  }

  /**
   * Runs the rest of the epoch in progress.
   * @param save called with no step in flight, when `saver` finds that a checkpoint is due
   */
  async run(saver: Saver | undefined, save: () => Promise<void>): Promise<void> {
    const progress = this.#progress
    this.#undone = false
    progress.startClock()
    const perEpoch = this.#loader.batchesPerEpoch
    const first = progress.batchesDone(this.#settings.recorded.batch)
    // the epoch's own save follows at once, if no validation comes between
    const last = this.#settings.validation === undefined ? perEpoch - 1 : perEpoch
    const inFlight: Promise<void>[] = []
    let started = progress.state.step
    let previous: Promise<void> = Promise.resolve()
    try {
      for (let index = first; index < perEpoch; index++) {
        throwIfAborted(this.#settings.signal, `The training (after ${started} steps)`)
        saver?.throwIfFailed()
        // Read here, not in #step: two reads at once could change the order of the steps.
        const batch = await this.#loader.next()
        started += 1
        const learningRate = this.#rate(index)
        const step = this.#step(batch, { step: started, index, learningRate, previous })
        // Its error is reported in order; until then it must not count as unhandled.
        previous = step.catch(() => undefined)
        inFlight.push(step)
        if (inFlight.length === stepsInFlight) await inFlight.shift()
        if (index >= last || !saver?.isDue(started)) continue
        for (const one of inFlight.splice(0)) await one
        await save()
      }
      for (const step of inFlight) await step
    } finally {
      await Promise.allSettled([...inFlight, previous])
    }
    this.#checkSums()
  }

  async #step(batch: Batch, position: Position): Promise<void> {
    const { images, labels, augment } = batch
    const { learningRate } = position
    const progress = this.#progress
    const { recorded, onStep } = this.#settings
    const { momentum, weightDecay, microBatch, rateFactors, epochs } = recorded
    const options = { learningRate, momentum, weightDecay, rateFactors, microBatch: microBatch ?? undefined, augment }
    const answer = labels.length === 0 ? undefined : this.#computed(images, labels, options)
    const [outcome] = await Promise.allSettled([answer, position.previous])
    if (outcome.status === 'rejected') return this.#refuse(outcome.reason, batch, position)
    const epoch = progress.state.epochsDone + 1
    this.#record(batch, position.step)
    const done = outcome.value
    if (done === undefined) return
    const { loss, correct } = done
    this.#lastFinite = { step: position.step, loss }
    progress.addStep({ loss, correct, images: labels.length, learningRate })
    if (this.#undone) return
    const stepsLeft = epochs * this.#loader.batchesPerEpoch - this.#positionOf(position.index) - 1
    const imagesPerSecond = progress.imagesPerSecond
    const imagesLeft = (epochs - epoch + 1) * this.#loader.imagesPerEpoch - progress.state.loader.position
    const called = onStep?.({
      step: position.step,
      steps: position.step + stepsLeft,
      epoch,
      epochs,
      loss,
      images: labels.length,
      correct,
      learningRate,
      indices: batch.indices,
      imagesPerSecond,
      secondsLeft: imagesLeft / imagesPerSecond,
    })
    if (called !== undefined) await called
  }

  #computed(images: Batch['images'], labels: Int32Array, options: StepOptions) {
    if (this.#features === undefined) return this.#net.step(images, labels, options)
    const { training, tensor } = this.#features
    return this.#net.step(training.valuesOf(images), labels, { ...options, from: tensor })
  }

  /** Number of batches before this one in the whole training. */
  #positionOf(index: number): number {
    return this.#progress.state.epochsDone * this.#loader.batchesPerEpoch + index
  }

  #rate(index: number): number {
    const { schedule, rateFactor } = this.#progress.state
    const { recorded } = this.#settings
    const done = this.#positionOf(index) / this.#loader.batchesPerEpoch
    return rateFactor * rateAt(recorded.schedule, schedule, recorded.learningRate, done, recorded.epochs)
  }

  #record({ after, unreadable }: Batch, step: number): void {
    this.#progress.record(step, after, unreadable)
  }

  /** Takes the action of `onNotFinite` for a step that failed. */
  async #refuse(reason: unknown, batch: Batch, { step, learningRate }: Position): Promise<void> {
    if (!(reason instanceof VggError) || reason.code !== 'NOT_FINITE') throw reason
    const { recorded } = this.#settings
    const last = this.#lastFinite
    const before = last === undefined ? 'no loss was finite before' : `the last finite loss was ${lossText(last)}`
    const images = imagesText(this.#loader.data, batch.indices)
    // the network counts only steps that changed something, and does not know what else a training can try
    const cause = reason.message
      .replace(/^training step \d+ /, 'it ')
      .replace(/; a smaller learning rate may help$/, '')
    const message = `Step ${step} changed nothing: ${cause}; learning rate ${rateText(learningRate)}, ${before}; ${images}`
    const error = new VggError('NOT_FINITE', message, { cause: reason })
    this.#refusal = error
    const { timesBack, epochsDone } = this.#progress.state
    const { onNotFinite } = recorded
    const isBack = typeof onNotFinite === 'object' && timesBack < onNotFinite.times
    const action = onNotFinite === 'skip' ? 'skip' : isBack ? 'back' : 'stop'
    if (action === 'skip') {
      this.#record(batch, step)
      this.#progress.addRefused()
    }
    const event = { step, epoch: epochsDone + 1, message, action } as const
    if (!this.#undone) await this.#settings.onRefused?.(event)
    this.#undone = action === 'back'
    if (action !== 'skip') throw error
  }

  /** An epoch without a finite step has no figures, and another epoch would have none either. */
  #checkSums(): void {
    const { images, refused, skipped, skippedCount } = this.#progress.state.sums
    if (images > 0) return
    if (refused > 0 && this.#refusal !== undefined) {
      const message = `Not one step of the epoch was finite; the last: ${this.#refusal.message}`
      throw new VggError('NOT_FINITE', message, { cause: this.#refusal })
    }
    const [first] = skipped
    const message = `Not one of ${skippedCount} images could be read; ${first?.name}: ${first?.reason}`
    throw new VggError('FILE_FORMAT', message)
  }
}

const mostImagesNamed = 5

/** The images of a batch: `images: a.png, b.png and 3 more`. */
function imagesText(data: Dataset, indices: Int32Array): string {
  const names = Array.from(indices.subarray(0, mostImagesNamed), (index) => data.nameOf?.(index) ?? `number ${index}`)
  const more = indices.length > names.length ? ` and ${indices.length - names.length} more` : ''
  return `${indices.length === 1 ? 'image' : 'images'}: ${names.join(', ')}${more}`
}

const lossText = ({ step, loss }: { step: number; loss: number }): string =>
  `${Number(loss.toPrecision(4))} at step ${step}`
