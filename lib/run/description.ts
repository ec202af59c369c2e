import type { ColourShift } from '../data/colour.js'
import type { SmallestSide } from '../data/view.js'
import type { Precision } from '../native-description.js'
import type { Device, Initialisation } from '../network/open.js'
import type { ScheduleOption } from '../train/schedule.js'
import type { VariantRow } from '../vgg/variants.js'

/** Where the pictures are. */
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

/** What one training is made of, from the pictures to the model: plain data, kept as run.json in the run's folder. */
export interface RunDescription {
  readonly data: DataDescription
  /** Share of the pictures held out where the data have no part for validation, 0 to below 1. */
  readonly validation: number
  readonly classNames?: readonly string[]
  readonly photographs: {
    readonly smallestSide?: SmallestSide
    readonly randomCrop: boolean
    readonly flip: boolean
    /** The random shift; true: as it fits the training pictures. */
    readonly colour: boolean | ColourShift
    readonly onUnreadable: 'skip' | 'throw'
    /** A folder for decoded pictures. */
    readonly cache?: string
    readonly workers?: number
  }
  /** For pictures of one size. */
  readonly shift: number
  readonly background: number
  readonly model: {
    readonly variant: string | VariantRow
    readonly classes?: number
    readonly channels?: number
    readonly imageSize?: readonly [height: number, width: number]
    readonly width?: number
    readonly headWidth?: number
    readonly dropout?: number
    readonly localNorm?: 'literal' | 'caffe'
    readonly initialisation: Initialisation
    readonly meanRgb?: readonly number[]
    readonly scale?: readonly number[]
  }
  readonly start: {
    /** A model that training goes on from, with a new last layer where the classes are others. */
    readonly from?: string
    /** A model of A whose layers the paper's deeper nets take (Sect. 3.1). */
    readonly transplant?: string
  }
  readonly freeze: readonly string[]
  readonly rates: Readonly<Record<string, number>>
  readonly training: {
    readonly epochs: number
    readonly batch: number
    readonly microBatch?: number | 'auto'
    readonly learningRate: number
    readonly momentum: number
    readonly weightDecay: number
    readonly schedule?: ScheduleOption
    readonly onNotFinite: 'stop' | 'skip' | 'back'
  }
  readonly checkpoints: { readonly keep: number; readonly minutes: number }
  readonly device: {
    readonly device: Device
    readonly precision?: Precision
    readonly deterministic?: true
    readonly threads?: number
    readonly exact?: true
  }
  readonly seed: number
}
