import type { ColourShift } from '../data/images/colour.js'
import type { SmallestSide } from '../data/images/crop.js'
import type { DecodingOptions } from '../data/images/formats.js'
import type { Device, Initialisation } from '../network/open.js'
import type { Precision } from '../platform/native-description.js'
import type { ScheduleOption } from '../train/schedule.js'
import type { VariantRow } from '../vgg/variants.js'

/** Where the images are. */
export type DataDescription =
  /** A folder: a sub-folder for each class, with train/ and val/ above them or not; or CIFAR's binary files. */
  | { readonly kind: 'folder'; readonly path: string }
  /** A CSV or TSV file of path and label. */
  | { readonly kind: 'list'; readonly path: string; readonly validationPath?: string }
  | {
      readonly kind: 'idx'
      readonly images: string
      readonly labels: string
      readonly validationImages?: string
      readonly validationLabels?: string
    }

/** What one training is made of, from the images to the model: plain data, kept as run.json in the run's folder. */
export interface RunDescription {
  /** Where the images are. */
  readonly data: DataDescription
  /** Share of the images held out where the data have no part for validation, 0 to below 1. */
  readonly validation: number
  /** The classes expected, in this order. Default: those found. */
  readonly classNames?: readonly string[]
  /** How image files become images of one size, as `PhotoOptions` has it. */
  readonly photographs: Readonly<DecodingOptions> & {
    /** The paper's S. Default: 256/224 of the crop. */
    readonly smallestSide?: SmallestSide
    /** CropSpec anywhere in training. */
    readonly randomCrop: boolean
    /** Mirror every second image. */
    readonly flip: boolean
    /** The random shift; true: as it fits the training images. */
    readonly colour: boolean | ColourShift
    /** Left out and counted, or the end. */
    readonly onUnreadable: 'skip' | 'throw'
    /** A folder for decoded images. */
    readonly cache?: string
    /** Images decoded at once. */
    readonly workers?: number
  }
  /** For images of one size. */
  readonly shift: number
  /** Value of the pixels that come in at the border, 0 to 255. */
  readonly background: number
  /**
   * As `VGG.create` takes it; what is left out follows from the data or has its default. With `start.from` the network is
   * that of the model: what is left out is the model's, `classes`, `dropout` and, where the classes need a new last
   * layer, `initialisation` are applied, and any other value than the model's own is refused.
   */
  readonly model: {
    /** By letter or name, or a row; left out only with `start.from`. */
    readonly variant?: string | VariantRow
    /** Outputs of the last layer. Default: as many as the data have classes. */
    readonly classes?: number
    /** Default: those of the data, 3 for images. */
    readonly channels?: number
    /** Default 224, or that of the data. */
    readonly imageSize?: readonly [height: number, width: number]
    /** Multiplier of the convolutions' channels. */
    readonly width?: number
    /** Outputs of fc6 and fc7. */
    readonly headWidth?: number
    /** Of fc6 and fc7. */
    readonly dropout?: number
    /** Of A-LRN. */
    readonly localNorm?: 'literal' | 'caffe'
    /** How weights start; with `start.from` those of a new last layer. Default glorot. */
    readonly initialisation?: Initialisation
    /** Default: the mean of the training images. */
    readonly meanRgb?: readonly number[]
    /** Of each channel, after the mean. */
    readonly scale?: readonly number[]
  }
  /** Where the weights come from, besides chance. */
  readonly start: {
    /** A model that training goes on from, with a new last layer where the classes are others; not with `transplant`. */
    readonly from?: string
    /** What became of the last layer of that model; `createRun` records it. */
    readonly lastLayer?: 'kept' | 'new'
    /** A model of A whose layers the paper's deeper nets take (Sect. 3.1). */
    readonly transplant?: string
  }
  /** Layers, blocks, `convolutions` or `head` that do not learn. */
  readonly freeze: readonly string[]
  /** Multipliers of the rate, by the same names. */
  readonly rates: Readonly<Record<string, number>>
  /** As `train` takes it. */
  readonly training: {
    /** Passes through the data. */
    readonly epochs: number
    /** Images of a step. */
    readonly batch: number
    /** Images computed at a time. */
    readonly microBatch?: number | 'auto'
    /** At the start. */
    readonly learningRate: number
    /** From 0 to below 1. */
    readonly momentum: number
    /** L2 multiplier. */
    readonly weightDecay: number
    /** How the rate changes. */
    readonly schedule?: ScheduleOption
    /** What follows a loss or gradient that is not finite. */
    readonly onNotFinite: 'stop' | 'skip' | 'back'
  }
  /** How many are left, and so many minutes apart. */
  readonly checkpoints: {
    /** Besides the best, from 1. */
    readonly keep: number
    /** Above 0. */
    readonly minutes: number
  }
  /** As `RunOptions` has it. */
  readonly device: {
    /** Where it computes. */
    readonly device: Device
    /** Default: the device's own choice. */
    readonly precision?: Precision
    /** Equal runs give equal bits. */
    readonly deterministic?: true
    /** On the cpu. */
    readonly threads?: number
    /** Direct convolutions only. */
    readonly exact?: true
  }
  /** Of weights, dropout, order, crops, flips, colours and the division. */
  readonly seed: number
}
