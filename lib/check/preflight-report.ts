import type { Dataset } from '../data/dataset.js'
import type { Initialisation } from '../network/open.js'
import type { ActivationReport } from './activations.js'
import type { ClassReport } from './classes.js'
import type { DuplicateReport } from './duplicates.js'
import type { PictureFiles } from './file-contents.js'
import type { GradientReport } from './gradients.js'
import type { InputReport } from './input.js'
import type { MemoryReport } from './memory.js'
import type { UnreadablePicture } from './pictures.js'
import type { SpeedReport } from './speed.js'
import type { Finding } from './verdict.js'

/** What is to be trained, and how it is looked at. */
export interface PreflightOptions {
  /** What it is to learn from. */
  training: Dataset
  /** What is held out. Default: nothing. */
  validation?: Dataset
  /** The files behind them, where there are: then equal pictures are found by their files' bytes. */
  trainingFiles?: PictureFiles
  /** Likewise. */
  validationFiles?: PictureFiles
  /** As `train` takes them, with the same defaults. */
  batch?: number
  /** Pictures computed at a time. */
  microBatch?: number | 'auto'
  /** For the time it will take. Default 74. */
  epochs?: number
  /** Above 0. Default 0.01. */
  learningRate?: number
  /** How the net's weights were made. Default: they were learnt. */
  initialisation?: Initialisation
  /** The net's, in bytes. */
  memoryLimit?: number
  /** Pictures of each part that are opened at most; more are sampled. Default 2000. */
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
  readonly stage: 'pictures' | 'files' | 'activations' | 'gradients' | 'speed'
  /** Pictures of this stage; undefined where it is one piece of work. */
  readonly done?: number
  /** Of how many. */
  readonly of?: number
}

/** Pictures that were opened to see whether they can be read. */
export interface FileReport {
  /** Pictures opened. */
  readonly checked: number
  /** Pictures there are. */
  readonly of: number
  /** The first 50. */
  readonly unreadable: readonly UnreadablePicture[]
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
  readonly pictures: {
    /** To learn from. */
    readonly training: number
    /** Held out; undefined where there are none. */
    readonly validation: number | undefined
  }
  /** What a step takes, and what fits. */
  readonly memory: MemoryReport
  /** Which pictures can be read. */
  readonly files: FileReport
  /** How many pictures each class has. */
  readonly classes: ClassReport
  /** Which pictures are equal. */
  readonly duplicates: DuplicateReport
  /** Undefined where no picture could be read. */
  readonly input: InputReport | undefined
  /** Undefined where nothing fits into memory, or no picture could be read; `speed` also where a step fails. */
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
