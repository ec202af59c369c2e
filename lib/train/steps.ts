import type { SkippedImage } from '../data/batch.js'
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

/** Steps after which the ranks of a group compare their parameters. */
const stepsBetweenChecks = 500

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
  /** The last step of the training, if a rank of the group wants to end. */
  #lastStep = Number.POSITIVE_INFINITY

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
        this.#throwIfStopped(started)
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
      if (this.#lastStep <= started) this.#throwStopped(started)
    } finally {
      await Promise.allSettled([...inFlight, previous])
    }
    this.#checkSums()
  }

  /** In a group the ranks end after the same step, which is agreed on in the steps themselves. */
  #throwIfStopped(started: number): void {
    if (started >= this.#lastStep) this.#throwStopped(started)
    if (this.#net.group === undefined) throwIfAborted(this.#settings.signal, `The training (after ${started} steps)`)
  }

  #throwStopped(started: number): never {
    const { signal } = this.#settings
    throw new VggError('ABORTED', `The training (after ${started} steps) was aborted`, { cause: signal?.reason })
  }

  async #step(batch: Batch, position: Position): Promise<void> {
    const { images, labels, augment } = batch
    const { learningRate } = position
    const progress = this.#progress
    const { recorded, onStep, signal } = this.#settings
    const { momentum, weightDecay, microBatch, rateFactors, epochs } = recorded
    const ofGroup = { stops: signal?.aborted ?? false, note: noteOf(batch.unreadable) }
    const options = {
      learningRate,
      momentum,
      weightDecay,
      rateFactors,
      microBatch: microBatch ?? undefined,
      augment,
      ...ofGroup,
    }
    // the other ranks may have images
    const computes = labels.length > 0 || this.#net.group !== undefined
    const answer = computes ? this.#computed(images, labels, options) : undefined
    // in the same order on all ranks
    const same = position.step % stepsBetweenChecks === 0 ? this.#net.checkSameParameters() : undefined
    const [outcome, , compared] = await Promise.allSettled([answer, position.previous, same])
    if (outcome.status === 'rejected') return this.#refuse(outcome.reason, batch, position)
    if (compared.status === 'rejected') throw compared.reason
    const epoch = progress.state.epochsDone + 1
    const done = outcome.value
    this.#record(batch, position.step, done?.notes)
    // all ranks have begun the next step already
    if (done?.stops && this.#net.group !== undefined) this.#lastStep = Math.min(this.#lastStep, position.step + 1)
    if (done === undefined || done.images === 0) return
    const { loss, correct } = done
    this.#lastFinite = { step: position.step, loss }
    progress.addStep({ loss, correct, images: done.images, learningRate })
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
      images: done.images,
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

  /** @param notes those of the ranks of a group */
  #record({ after, unreadable }: Batch, step: number, notes: readonly string[] = []): void {
    const all = this.#net.group === undefined ? unreadable : notes.flatMap(unreadableIn)
    this.#progress.record(step, after, all)
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

/** The note for the other ranks on images that could not be read. */
const noteOf = (unreadable: readonly SkippedImage[]): string =>
  unreadable.length === 0 ? '' : JSON.stringify(unreadable)

/** The images in a note of this package's own process on another rank. */
const unreadableIn = (note: string): SkippedImage[] => (note === '' ? [] : (JSON.parse(note) as SkippedImage[]))

const mostImagesNamed = 5

/** The images of a batch: `images: a.png, b.png and 3 more`. */
function imagesText(data: Dataset, indices: Int32Array): string {
  const names = Array.from(indices.subarray(0, mostImagesNamed), (index) => data.nameOf?.(index) ?? `number ${index}`)
  const more = indices.length > names.length ? ` and ${indices.length - names.length} more` : ''
  return `${indices.length === 1 ? 'image' : 'images'}: ${names.join(', ')}${more}`
}

const lossText = ({ step, loss }: { step: number; loss: number }): string =>
  `${Number(loss.toPrecision(4))} at step ${step}`
