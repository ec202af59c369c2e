import type { Evaluation } from '../evaluate/evaluate.js'

/** A finished step. Steps, epochs and their counts begin at 1. */
export interface StepEvent {
  /** A batch of which nothing could be read is passed over, and its number with it. */
  readonly step: number
  /** Steps of the whole training, if the schedule does not end it before. */
  readonly steps: number
  /** The epoch it belongs to. */
  readonly epoch: number
  /** Of the whole training. */
  readonly epochs: number
  /** Mean cross-entropy of the batch, before the update. */
  readonly loss: number
  /** Images in the batch, and how many the network had right (top-1) before the update. */
  readonly images: number
  /** Right (top-1) before the update. */
  readonly correct: number
  /** Of this step. */
  readonly learningRate: number
  /** The numbers of the images in the data. */
  readonly indices: Int32Array
  /** Mean of this epoch so far. */
  readonly imagesPerSecond: number
  /** Time that the steps still to come take at this speed; validation not counted. */
  readonly secondsLeft: number
}

/** An image that could not be read. */
export interface Skipped {
  /** Its path, or what else it is called by. */
  readonly name: string
  /** Why, in words. */
  readonly reason: string
}

/** A finished epoch. Accuracies are shares from 0 to 1. */
export interface EpochEvent {
  /** Its number. */
  readonly epoch: number
  /** Of the whole training. */
  readonly epochs: number
  /** Steps since the training began. */
  readonly steps: number
  /** The rate of the epoch's last step. */
  readonly learningRate: number
  /** Mean cross-entropy over the epoch, in training mode. */
  readonly loss: number
  /** Share of the training images that were right (top-1) at their step, in training mode. */
  readonly accuracy: number
  /** Figures on the validation data after the epoch; undefined where there is none. */
  readonly validation: Evaluation | undefined
  /** Training images that could not be read: the first 100, and how many in all. */
  readonly skipped: readonly Skipped[]
  /** How many in all. */
  readonly skippedCount: number
  /** Steps that changed nothing, because loss or gradient was not finite. */
  readonly refused: number
  /** Of the steps alone. In a report NaN for epochs of an earlier process: a checkpoint holds no times. */
  readonly imagesPerSecond: number
  /** Of the steps and the validation. In a report NaN for epochs of an earlier process. */
  readonly seconds: number
}

/** A step whose loss or gradient was not finite: the device has changed nothing. */
export interface RefusedEvent {
  /** Its number. */
  readonly step: number
  /** The epoch it belongs to. */
  readonly epoch: number
  /** Names images and the first bad layer. */
  readonly message: string
  /** What is done: the training ends, goes on behind this step, or behind its last checkpoint at a lower rate. */
  readonly action: 'stop' | 'skip' | 'back'
}

/** A checkpoint that lies on the disk. */
export interface CheckpointEvent {
  /** Of the file. */
  readonly path: string
  /** Steps done, and whole epochs. */
  readonly step: number
  /** Whole epochs done. */
  readonly epochsDone: number
  /** Whether it is the best so far, and `best.safetensors` as well. */
  readonly best: boolean
  /** From its beginning, beside the training. */
  readonly seconds: number
}

/** Layers that a training must not change, and the proof that it did not. */
export interface FrozenProof {
  /** Names of the layers. */
  readonly layers: readonly string[]
  /** SHA-256 of their parameters before the first step (of the first process), and after the last. */
  readonly before: string
  /** After the last step: equal. */
  readonly after: string
}

/** What a training did: what `train` resolves to. */
export interface TrainReport {
  /** Every epoch, those of earlier processes included. */
  readonly history: readonly EpochEvent[]
  /** Steps done since the training began. */
  readonly steps: number
  /** Of this process. */
  readonly seconds: number
  /** Mean over all steps of this process, validation not counted. */
  readonly imagesPerSecond: number
  /** Which of the two ended it: all epochs done, or a plateau after the last drop of the rate. */
  readonly ended: 'epochs' | 'schedule'
  /** Undefined where nothing was frozen. */
  readonly frozen: FrozenProof | undefined
  /** The last checkpoint, where any were asked for. */
  readonly checkpoint: string | undefined
}
