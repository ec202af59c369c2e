import type { LoaderState } from '../data/loader.js'
import { EpochSums } from './epoch-sums.js'
import type { EpochEvent } from './events.js'
import type { Fingerprint } from './fingerprint.js'
import { afterEpoch, type Schedule, type ScheduleState, scheduleStart } from './schedule.js'
import type { BestEpoch, PastEpoch, TrainingState } from './training-state.js'

/** Where a training stands: after the last step that is done, whatever is under way. */
export class TrainingProgress {
  readonly #conditions: Fingerprint | undefined
  step = 0
  epochsDone = 0
  loader: LoaderState
  schedule: ScheduleState = scheduleStart()
  rateFactor = 1
  timesBack = 0
  sums = new EpochSums()
  best: BestEpoch | null = null
  frozenBefore: string | null = null
  #history: EpochEvent[] = []

  /** @param conditions needed for `state` */
  constructor(loader: LoaderState, conditions: Fingerprint | undefined) {
    this.loader = loader
    this.#conditions = conditions
  }

  get history(): readonly EpochEvent[] {
    return this.#history
  }

  /** Batches of the epoch under way that were taken. */
  batchesDone(batch: number): number {
    return this.loader.epoch < this.epochsDone ? 0 : Math.ceil(this.loader.position / batch)
  }

  /** Takes an epoch that is done. @returns whether it is the best so far */
  finishEpoch(event: EpochEvent, schedule: Schedule): boolean {
    const accuracy = event.validation?.top1
    this.#history.push(event)
    this.schedule = afterEpoch(schedule, this.schedule, accuracy)
    this.epochsDone = event.epoch
    this.sums = new EpochSums()
    if (accuracy === undefined || accuracy <= (this.best?.accuracy ?? Number.NEGATIVE_INFINITY)) return false
    this.best = { accuracy, epoch: event.epoch, step: event.steps }
    return true
  }

  /** @param trainingStep the network's */
  state(trainingStep: number): TrainingState {
    if (this.#conditions === undefined) throw new Error('a training without conditions is not saved')
    const { step, epochsDone, loader, schedule, rateFactor, timesBack, best, frozenBefore } = this
    const history = this.#history.map(({ seconds: _, imagesPerSecond: __, ...epoch }): PastEpoch => epoch)
    const figures = { step, epochsDone, trainingStep, loader, schedule, rateFactor, timesBack, best, frozenBefore }
    return { ...figures, sums: this.sums.state, history, conditions: this.#conditions }
  }

  /** Goes to where `state` was taken. Epochs of this process keep their times. */
  restore(state: TrainingState): void {
    this.step = state.step
    this.epochsDone = state.epochsDone
    this.loader = state.loader
    this.schedule = state.schedule
    this.rateFactor = state.rateFactor
    this.timesBack = state.timesBack
    this.best = state.best
    this.frozenBefore = state.frozenBefore
    this.sums = new EpochSums(state.sums)
    const own = this.#history
    this.#history = state.history.map((epoch, index) => {
      const { seconds = Number.NaN, imagesPerSecond = Number.NaN } = own[index] ?? {}
      return { ...epoch, imagesPerSecond, seconds }
    })
  }
}
