import type { Dataset } from '../data/dataset.js'
import type { Initialisation } from '../network/open.js'
import type { ActivationReport } from './activations.js'
import type { ClassReport } from './classes.js'
import type { DuplicateReport } from './duplicates.js'
import type { ImageFiles } from './file-contents.js'
import type { GradientReport } from './gradients.js'
import type { InputReport } from './input.js'
import type { MemoryReport } from './memory.js'
import type { UnreadableImage } from './readable.js'
import type { SpeedReport } from './speed.js'
import type { Finding } from './verdict.js'

/** What is to be trained, and how it is looked at. */
export interface PreflightOptions {
  /** What it is to learn from. */
  training: Dataset
  /** What is held out. Default: nothing. */
  validation?: Dataset
  /** The files behind them, where there are: then equal images are found by their files' bytes. */
  trainingFiles?: ImageFiles
  /** Likewise. */
  validationFiles?: ImageFiles
  /** Images of a step. Default: that of `train`. */
  batch?: number
  /** Images computed at once. Default: that of `train`. */
  microBatch?: number | 'auto'
  /** Number of epochs, for the time estimate. Default: that of `train`. */
  epochs?: number
  /** Learning rate at the start, above 0. Default: that of `train`. */
  learningRate?: number
  /** How the net's weights were made. Default: they were learnt. */
  initialisation?: Initialisation
  /** The net's, in bytes. */
  memoryLimit?: number
  /** Images of each part that are opened at most; more are sampled. Default 2000. */
  limit?: number
  /** Of the samples. Default 0. */
  seed?: number
  /** Ends it: it rejects with ABORTED. */
  signal?: AbortSignal
  /** Called as it goes. */
  onProgress?: (progress: PreflightProgress) => void
}

/** What the check is at. */
export interface PreflightProgress {
  /** What is looked at. */
  readonly stage: 'images' | 'files' | 'activations' | 'gradients' | 'speed'
  /** Images of this stage; undefined where it is one piece of work. */
  readonly done?: number
  /** Of how many. */
  readonly of?: number
}

/** Images that were opened to see whether they can be read. */
export interface FileReport {
  /** Images opened. */
  readonly checked: number
  /** Images there are. */
  readonly of: number
  /** The first 50. */
  readonly unreadable: readonly UnreadableImage[]
  /** How many in all. */
  readonly unreadableCount: number
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

/** What was found before a training: plain data. Figures that are not finite become null in JSON. */
export interface PreflightReport {
  /** What was looked at. */
  readonly model: {
    /** The paper's letter, or the row's name. */
    readonly variant: string
    /** Outputs. */
    readonly classes: number
    /** In pixels. */
    readonly imageSize: readonly [height: number, width: number]
    /** Where it computes. */
    readonly device: string
    /** Of activations and products. */
    readonly precision: string
  }
  /** How many there are of each part. */
  readonly images: {
    /** To learn from. */
    readonly training: number
    /** Held out; undefined where there are none. */
    readonly validation: number | undefined
  }
  /** What a step takes, and what fits. */
  readonly memory: MemoryReport
  /** Which images can be read. */
  readonly files: FileReport
  /** How many images each class has. */
  readonly classes: ClassReport
  /** Which images are equal. */
  readonly duplicates: DuplicateReport
  /** Undefined where no image could be read. */
  readonly input: InputReport | undefined
  /** Undefined where nothing fits into memory, or no image could be read; `speed` also where a step fails. */
  readonly activations: ActivationReport | undefined
  /** Of each layer, from one batch. */
  readonly gradients: GradientReport | undefined
  /** Of three steps, and what follows for the whole. */
  readonly speed: SpeedReport | undefined
  /** With one of these, training cannot come to anything. */
  readonly fatal: readonly string[]
  /** What may be meant, and is worth a look. */
  readonly warnings: readonly string[]
}
