import type { SkippedImage } from '../data/batch.js'
import type { LoaderState } from '../data/loader.js'
import type { EpochEvent } from './events.js'
import type { Fingerprint } from './fingerprint.js'
import { type PastEpoch, withinLimits } from './past-epochs.js'
import { afterEpoch, type Schedule, scheduleStart } from './schedule.js'
import type { SumsState, TrainingState } from './training-state.js'

/** Most unreadable images that are listed by name; further ones are only counted. */
export const mostNamed = 100

type State = Omit<TrainingState, 'trainingStep' | 'fingerprint'>
type Times = Pick<EpochEvent, 'imagesPerSecond' | 'seconds'>

/** A checkpoint holds no times. */
const unknownTimes: Times = { imagesPerSecond: Number.NaN, seconds: Number.NaN }

const noSums: SumsState = {
  loss: 0,
  correct: 0,
  images: 0,
  learningRate: 0,
  refused: 0,
  skipped: [],
  skippedCount: 0,
}

/** The state of a training after its last recorded step, whatever is in flight, and the times of this process. */
export class TrainingProgress {
  readonly #fingerprint: Fingerprint | undefined
  #state: State
  /** Times of the epochs of this process, by number. */
  readonly #times = new Map<number, Times>()
  #epochStart = performance.now()
  /** Images of the epoch in progress that an earlier process, or an undone part of this one, counted. */
  #imagesBefore = 0

  /** @param fingerprint needed for `saved` */
  constructor(loader: LoaderState, fingerprint: Fingerprint | undefined) {
    this.#fingerprint = fingerprint
    this.#state = {
      step: 0,
      epochsDone: 0,
      loader,
      schedule: scheduleStart(),
      rateFactor: 1,
      timesBack: 0,
      sums: noSums,
      history: [],
      best: null,
      frozenBefore: null,
    }
  }

  get state(): State {
    return this.#state
  }

  /** Every whole epoch; the times of an earlier process are NaN. */
  get history(): EpochEvent[] {
    return this.#state.history.map((epoch) => ({ ...epoch, ...(this.#times.get(epoch.epoch) ?? unknownTimes) }))
  }

  /** The state as a checkpoint holds it. @param trainingStep the network's count of steps */
  saved(trainingStep: number): TrainingState {
    if (this.#fingerprint === undefined) throw new Error('a training without a fingerprint is not saved')
    return { ...this.#state, trainingStep, fingerprint: this.#fingerprint }
  }

  /** Returns to a saved state, with some values changed. */
  restore(saved: TrainingState, changes: Partial<Pick<State, 'timesBack' | 'rateFactor'>> = {}): void {
    const { trainingStep: _, fingerprint: __, ...state } = saved
    this.#state = { ...state, ...changes }
    this.#imagesBefore = state.sums.images
  }

  /** Sets the hash of the frozen layers before the first step. */
  setFrozenBefore(frozenBefore: string | null): void {
    this.#state = { ...this.#state, frozenBefore }
  }

  /** Starts the clock of the epoch in progress. */
  startClock(): void {
    this.#epochStart = performance.now()
  }

  /** Number of batches of the epoch in progress that are done. */
  batchesDone(batch: number): number {
    const { loader, epochsDone } = this.#state
    return loader.epoch < epochsDone ? 0 : Math.ceil(loader.position / batch)
  }

  /** Records that a step is done, with the images of its batch that could not be read. */
  record(step: number, loader: LoaderState, unreadable: readonly SkippedImage[]): void {
    this.#state = { ...this.#state, step, loader }
    if (unreadable.length === 0) return
    const { skipped, skippedCount } = this.#state.sums
    const more = unreadable.map(({ name, reason }) => ({ name, reason }))
    const named = [...skipped, ...more].slice(0, mostNamed)
    this.#addToSums({ skipped: named, skippedCount: skippedCount + unreadable.length })
  }

  /** Adds the figures of a step to the sums of its epoch. */
  addStep(step: { loss: number; correct: number; images: number; learningRate: number }): void {
    const { loss, correct, images } = this.#state.sums
    this.#addToSums({
      loss: loss + step.loss * step.images,
      correct: correct + step.correct,
      images: images + step.images,
      learningRate: step.learningRate,
    })
  }

  /** Counts a step that was not finite. */
  addRefused(): void {
    this.#addToSums({ refused: this.#state.sums.refused + 1 })
  }

  #addToSums(changes: Partial<SumsState>): void {
    this.#state = { ...this.#state, sums: { ...this.#state.sums, ...changes } }
  }

  /** Images of the epoch in progress that this process computed. */
  get images(): number {
    return this.#state.sums.images - this.#imagesBefore
  }

  /** Seconds since `startClock`. */
  get seconds(): number {
    return (performance.now() - this.#epochStart) / 1000
  }

  get imagesPerSecond(): number {
    return this.images / this.seconds
  }

  /** The figures of the steps of the epoch in progress, as its event reports them. */
  epochFigures() {
    const { loss, correct, images, learningRate, refused, skipped, skippedCount } = this.#state.sums
    const { imagesPerSecond } = this
    return {
      learningRate,
      loss: loss / images,
      accuracy: correct / images,
      skipped,
      skippedCount,
      refused,
      imagesPerSecond,
    }
  }

  /** Records a finished epoch. @returns whether its validation accuracy is the best so far */
  finishEpoch(event: EpochEvent, schedule: Schedule): boolean {
    const { imagesPerSecond, seconds, ...epoch }: EpochEvent & PastEpoch = event
    const accuracy = event.validation?.top1
    const { history, best, schedule: before } = this.#state
    const isBest = accuracy !== undefined && accuracy > (best?.accuracy ?? Number.NEGATIVE_INFINITY)
    this.#times.set(event.epoch, { imagesPerSecond, seconds })
    this.#imagesBefore = 0
    this.#state = {
      ...this.#state,
      history: withinLimits([...history, epoch]),
      schedule: afterEpoch(schedule, before, accuracy),
      epochsDone: event.epoch,
      sums: noSums,
      best: isBest ? { accuracy, epoch: event.epoch, step: event.steps } : best,
    }
    return isBest
  }
}
