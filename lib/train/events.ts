import type { Metrics } from '../evaluate/metrics.js'

/** A finished step. Steps, epochs and their counts begin at 1. */
export interface StepEvent {
  readonly step: number
  /** Steps of the whole training, if the schedule does not end it before. */
  readonly steps: number
  readonly epoch: number
  readonly epochs: number
  /** Mean cross-entropy of the batch, before the update. */
  readonly loss: number
  /** Pictures in the batch, and how many the network had right (top-1) before the update. */
  readonly images: number
  readonly correct: number
  readonly learningRate: number
  /** Mean of this epoch so far. */
  readonly imagesPerSecond: number
  /** Time that the steps still to come take at this speed; validation not counted. */
  readonly secondsLeft: number
}

/** A finished epoch. Accuracies are shares from 0 to 1. */
export interface EpochEvent {
  readonly epoch: number
  readonly epochs: number
  /** Steps since the training began. */
  readonly steps: number
  /** The rate of the epoch's last step. */
  readonly learningRate: number
  /** Mean cross-entropy over the epoch, in training mode. */
  readonly loss: number
  /** Share of the training pictures that were right (top-1) at their step, in training mode. */
  readonly accuracy: number
  /** Figures on the validation data after the epoch; undefined where there is none. */
  readonly validation: Metrics | undefined
  /** Of the steps alone. */
  readonly imagesPerSecond: number
  /** Of the steps and the validation. */
  readonly seconds: number
}

/** What a training did. */
export interface TrainReport {
  readonly history: readonly EpochEvent[]
  readonly steps: number
  readonly seconds: number
  /** Mean over all steps, validation not counted. */
  readonly imagesPerSecond: number
  /** Which of the two ended it: all epochs done, or a plateau after the last drop of the rate. */
  readonly ended: 'epochs' | 'schedule'
}
