import type { Batch, Loader } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import type { Network } from '../network/network.js'
import { notFiniteError } from './not-finite.js'
import type { Saver } from './saver.js'
import { rateAt } from './schedule.js'
import type { Settings } from './settings.js'
import type { TrainingProgress } from './training-progress.js'

/** Two: one computing, one waiting. More would only hold memory. */
const stepsInFlight = 2

/** A step of an epoch, begun. */
interface Position {
  readonly step: number
  /** Of the batch in its epoch, from 0. */
  readonly index: number
  /** The step before, which is recorded first. */
  readonly previous: Promise<void>
}

/** The steps of a training, epoch by epoch. What is done is recorded in `progress`, in order. */
export class Steps {
  readonly #net: Network
  readonly #loader: Loader
  readonly #settings: Settings
  readonly #progress: TrainingProgress
  /** What the last refused step said. */
  #refusal: VggError | undefined
  /** What is still under way will be undone. */
  #undone = false

  constructor(net: Network, loader: Loader, settings: Settings, progress: TrainingProgress) {
    this.#net = net
    this.#loader = loader
    this.#settings = settings
    this.#progress = progress
  }

  /**
   * The rest of the epoch under way.
   * @param save called with nothing under way, where `saver` finds that it is due
   */
  async run(saver: Saver | undefined, save: () => Promise<void>): Promise<void> {
    const progress = this.#progress
    this.#undone = false
    progress.sums.begin()
    const perEpoch = this.#loader.batchesPerEpoch
    const first = progress.batchesDone(this.#settings.recorded.batch)
    // the epoch's own save follows at once, if no validation comes between
    const last = this.#settings.validation === undefined ? perEpoch - 1 : perEpoch
    const inFlight: Promise<void>[] = []
    let begun = progress.step
    let previous: Promise<void> = Promise.resolve()
    try {
      for (let index = first; index < perEpoch; index++) {
        throwIfAborted(this.#settings.signal, `The training (after ${begun} steps)`)
        saver?.throwIfFailed()
        // Read here, not in #step: two reads under way at once could change the order of the steps.
        const batch = await this.#loader.next()
        begun += 1
        const step = this.#step(batch, { step: begun, index, previous })
        // Its error is reported when its turn comes; until then it must not count as unhandled.
        previous = step.catch(() => undefined)
        inFlight.push(step)
        if (inFlight.length === stepsInFlight) await inFlight.shift()
        if (index >= last || !saver?.isDue(begun)) continue
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
    const progress = this.#progress
    const { recorded, onStep } = this.#settings
    const { momentum, weightDecay, microBatch, rates, epochs } = recorded
    const learningRate = this.#rate(position.index)
    const options = { learningRate, momentum, weightDecay, rates, microBatch: microBatch ?? undefined, augment }
    const answer = labels.length === 0 ? undefined : this.#net.step(images, labels, options)
    const [outcome] = await Promise.allSettled([answer, position.previous])
    if (outcome.status === 'rejected') return this.#refuse(outcome.reason, batch, position)
    const epoch = progress.epochsDone + 1
    this.#record(batch, position.step)
    const done = outcome.value
    if (done === undefined) return
    const { loss, correct } = done
    progress.sums.add({ loss, correct, images: labels.length, learningRate })
    if (this.#undone) return
    const stepsLeft = epochs * this.#loader.batchesPerEpoch - this.#positionOf(position.index) - 1
    const imagesPerSecond = progress.sums.imagesPerSecond()
    const imagesLeft = (epochs - epoch + 1) * this.#loader.data.count - progress.loader.position
    onStep?.({
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
  }

  /** Batches before this one in the whole training. */
  #positionOf(index: number): number {
    return this.#progress.epochsDone * this.#loader.batchesPerEpoch + index
  }

  #rate(index: number): number {
    const { schedule, rateFactor } = this.#progress
    const { recorded } = this.#settings
    const done = this.#positionOf(index) / this.#loader.batchesPerEpoch
    return rateFactor * rateAt(recorded.schedule, schedule, recorded.learningRate, done, recorded.epochs)
  }

  #record({ after, unreadable }: Batch, step: number): void {
    this.#progress.step = step
    this.#progress.loader = after
    this.#progress.sums.skip(unreadable)
  }

  /** What follows a step that failed. */
  #refuse(reason: unknown, batch: Batch, { step }: Position): void {
    if (!(reason instanceof VggError) || reason.code !== 'NOT_FINITE') throw reason
    const { recorded } = this.#settings
    const error = notFiniteError(reason, this.#loader.data, step, batch.indices)
    this.#refusal = error
    const { timesBack, epochsDone } = this.#progress
    const { onNotFinite } = recorded
    const isBack = typeof onNotFinite === 'object' && timesBack < onNotFinite.times
    const action = onNotFinite === 'skip' ? 'skip' : isBack ? 'back' : 'stop'
    if (action === 'skip') {
      this.#record(batch, step)
      this.#progress.sums.refuse()
    }
    if (!this.#undone) this.#settings.onRefused?.({ step, epoch: epochsDone + 1, message: error.message, action })
    this.#undone = action === 'back'
    if (action !== 'skip') throw error
  }

  /** An epoch without a single step has no figures; and another one would be no better. */
  #checkSums(): void {
    const { images, refused, skipped, skippedCount } = this.#progress.sums.state
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
