import type { SkippedImage } from '../data/batch.js'
import type { Skipped } from './events.js'

/** What an epoch under way has come to, as plain data. */
export interface SumsState {
  /** Sum over the images. */
  readonly loss: number
  readonly correct: number
  readonly images: number
  /** Of the last step. */
  readonly learningRate: number
  readonly refused: number
  readonly skipped: readonly Skipped[]
  readonly skippedCount: number
}

/** Images left out that are named; more are counted only. */
export const mostNamed = 100

/** Adds up the steps of one epoch. */
export class EpochSums {
  #start = performance.now()
  #state: SumsState
  /** Those before belong to an earlier process. */
  readonly #imagesBefore: number

  constructor(state: SumsState = EpochSums.empty) {
    this.#state = state
    this.#imagesBefore = state.images
  }

  static readonly empty: SumsState = {
    loss: 0,
    correct: 0,
    images: 0,
    learningRate: 0,
    refused: 0,
    skipped: [],
    skippedCount: 0,
  }

  /** Lets the clock begin. */
  begin(): void {
    this.#start = performance.now()
  }

  get state(): SumsState {
    return this.#state
  }

  add(step: { loss: number; correct: number; images: number; learningRate: number }): void {
    const { loss, correct, images } = this.#state
    this.#state = {
      ...this.#state,
      loss: loss + step.loss * step.images,
      correct: correct + step.correct,
      images: images + step.images,
      learningRate: step.learningRate,
    }
  }

  refuse(): void {
    this.#state = { ...this.#state, refused: this.#state.refused + 1 }
  }

  skip(leftOut: readonly SkippedImage[]): void {
    if (leftOut.length === 0) return
    const { skipped, skippedCount } = this.#state
    const more = leftOut.map(({ name, reason }) => ({ name, reason }))
    const named = [...skipped, ...more].slice(0, mostNamed)
    this.#state = { ...this.#state, skipped: named, skippedCount: skippedCount + leftOut.length }
  }

  /** The figures of an epoch's event. */
  figures() {
    const { loss, correct, images, learningRate, refused, skipped, skippedCount } = this.#state
    return { learningRate, loss: loss / images, accuracy: correct / images, skipped, skippedCount, refused }
  }

  /** Images of this process. */
  images(): number {
    return this.#state.images - this.#imagesBefore
  }

  seconds(): number {
    return (performance.now() - this.#start) / 1000
  }

  imagesPerSecond(): number {
    return this.images() / this.seconds()
  }
}
