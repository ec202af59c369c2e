import type { Evaluation } from '../evaluate/evaluate.js'

/** A finished step. Steps and epochs are numbered from 1. */
export interface StepEvent {
  /** Number of the step. The number of a batch without any readable image is skipped. */
  readonly step: number
  /** Number of steps of the whole training, unless the schedule ends it early. */
  readonly steps: number
  /** Number of the step's epoch. */
  readonly epoch: number
  /** Number of epochs of the whole training. */
  readonly epochs: number
  /** Mean cross-entropy of the batch, before the update. */
  readonly loss: number
  /** Number of images in the batch. */
  readonly images: number
  /** Number of images with the right class first (top-1), before the update. */
  readonly correct: number
  /** Learning rate of the step. */
  readonly learningRate: number
  /** Indices of the images in the training data. */
  readonly indices: Int32Array
  /** Mean speed of the epoch so far. */
  readonly imagesPerSecond: number
  /** Estimated seconds for the remaining steps, without validation. */
  readonly secondsLeft: number
}

/** An image that could not be read. */
export interface Skipped {
  /** Path or other name of the image. */
  readonly name: string
  /** Reason why it could not be read. */
  readonly reason: string
}

/** A finished epoch. Accuracies are shares from 0 to 1. */
export interface EpochEvent {
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** Number of epochs of the whole training. */
  readonly epochs: number
  /** Number of steps since the start of the training. */
  readonly steps: number
  /** Learning rate of the last step. */
  readonly learningRate: number
  /** Mean cross-entropy over the epoch, in training mode. */
  readonly loss: number
  /** Top-1 accuracy on the training images at their steps, in training mode. */
  readonly accuracy: number
  /** Metrics on the validation data after the epoch; undefined without validation data. */
  readonly validation: Evaluation | undefined
  /** Training images that could not be read, the first 100. */
  readonly skipped: readonly Skipped[]
  /** Number of training images that could not be read. */
  readonly skippedCount: number
  /** Number of steps without effect, because loss or gradient was not finite. */
  readonly refused: number
  /** Mean speed of the steps. In a report, NaN for epochs of an earlier process: a checkpoint holds no times. */
  readonly imagesPerSecond: number
  /** Seconds of steps and validation. In a report, NaN for epochs of an earlier process. */
  readonly seconds: number
}

/** A step whose loss or gradient was not finite. The device has not applied it. */
export interface RefusedEvent {
  /** Number of the step. */
  readonly step: number
  /** Number of the step's epoch. */
  readonly epoch: number
  /** Sentence with the images and the first layer that is not finite. */
  readonly message: string
  /** Action taken: end the training, continue after the step, or continue from the last checkpoint at a lower rate. */
  readonly action: 'stop' | 'skip' | 'back'
}

/** A checkpoint that was written to disk. */
export interface CheckpointEvent {
  /** Path of the file. */
  readonly path: string
  /** Number of steps done. */
  readonly step: number
  /** Number of whole epochs done. */
  readonly epochsDone: number
  /** Whether it is the best so far, and linked as `best.safetensors`. */
  readonly best: boolean
  /** Seconds from the start of the save, during which the training continued. */
  readonly seconds: number
}

/** Progress of computing the output of frozen leading layers once, before the first step. */
export interface FeaturesEvent {
  /** Images done; with random flips each counts twice, as it is and mirrored. */
  readonly done: number
  /** Images in all. */
  readonly of: number
}

/** Frozen layers, with the proof that the training did not change them. */
export interface FrozenProof {
  /** Names of the layers. */
  readonly layers: readonly string[]
  /** SHA-256 of their parameters before the first step of the first process. */
  readonly before: string
  /** SHA-256 of their parameters after the last step, equal to `before`. */
  readonly after: string
}

/** The result of `train`. */
export interface TrainReport {
  /**
   * Every epoch, including those of earlier processes. At most 4,096 confusion matrices and 1 GiB of their cells are kept: of
   * older epochs `perClass` and `confusion` are empty. Of unreadable images at most 16,384 are named, by at most 2^20
   * characters: those of older epochs are only counted.
   */
  readonly history: readonly EpochEvent[]
  /** Number of steps since the start of the training. */
  readonly steps: number
  /** Seconds of this process. */
  readonly seconds: number
  /** Mean speed of the steps of this process, without validation. */
  readonly imagesPerSecond: number
  /** Cause of the end: all epochs done, or a plateau after the last drop of the rate. */
  readonly ended: 'epochs' | 'schedule'
  /** Proof that frozen layers are unchanged; undefined if none are frozen. */
  readonly frozen: FrozenProof | undefined
  /**
   * Sentence on a validation accuracy that is no better than chance, with the likely cause and what to try: a binomial test
   * against always answering the most frequent class. Undefined if it is better, and without validation data.
   */
  readonly noBetterThanChance: string | undefined
  /** Path of the last checkpoint; undefined without checkpoints. */
  readonly checkpoint: string | undefined
}
