import type { Initialisation, RunOptions } from '../network/open.js'
import type { Origin } from './origin.js'
import type { Preprocessing } from './preprocessing.js'
import type { VariantName, VariantRow } from './variants.js'

/** Options of the blocks of a VGG net; all but `variant` have defaults. */
export interface TrunkOptions<Given extends VariantName | VariantRow = VariantName | VariantRow> {
  /**
   * Configuration: 'A' or 'VGG11', 'A-LRN', 'B', 'C' or 'VGG16-1', 'D' or 'VGG16', 'E' or 'VGG19'; or a custom row of Table 1.
   * A name determines which names of layers the network's type has.
   */
  variant: Given
  /** Channels of the images. Default 3. */
  channels?: number | undefined
  /** Side, or [height, width], of the images in pixels; at least 32 (2^blocks for a custom row). Default 224. */
  imageSize?: number | readonly [height: number, width: number] | undefined
  /** Multiplier of the convolutions' channels, above 0; no layer may have more than 2^24 channels. Default 1. */
  width?: number | undefined
  /** Distribution of the initial weights. It determines the default of `scale`. Default `glorot`. */
  initialisation?: Initialisation | undefined
  /**
   * Mean that is subtracted from each pixel (0..255): a number, or one number for each channel. Default: ImageNet's
   * [123.68, 116.779, 103.939] for three channels, otherwise 127.5.
   */
  meanRgb?: number | readonly number[] | undefined
  /** Multiplier applied after the mean is subtracted, above 0: a number, or one for each channel. Default 1 / 58; 1 for `paper`. */
  scale?: number | readonly number[] | undefined
  /** Parameters of the normalisation in A-LRN: those of Krizhevsky 2012, or of Caffe's AlexNet. Default `literal`. */
  localNorm?: 'literal' | 'caffe' | undefined
  /** Preprocessing of the training images, saved with the model. Default: none. */
  preprocessing?: Preprocessing | undefined
  /** Where the weights come from, saved with the model; `load` sets it for those of another program. Default: none. */
  origin?: Origin | undefined
}

/** Options of a VGG net; all but `variant` and `classes` have defaults. */
export interface ModelOptions<Given extends VariantName | VariantRow = VariantName | VariantRow>
  extends TrunkOptions<Given> {
  /** Number of classes, the outputs of fc8; at least 1. */
  classes: number
  /** Dropout probability of fc6 and fc7, 0 to below 1. Default 0.5 (Sect. 3.1). */
  dropout?: number | undefined
  /** Outputs of fc6 and of fc7. Default 4096. */
  headWidth?: number | undefined
  /** One name for each class, saved with the model. Default: none. */
  classNames?: readonly string[] | undefined
  /** The network has its head: fc6, fc7 and fc8. */
  head?: undefined
}

/** That a VGG net has no head: it ends with the last pool, and has no classes. */
export interface NoHead {
  /** No fc6, fc7 and fc8. */
  readonly head: 'none'
  /** A network without a head has no classes. */
  readonly classes?: undefined
  /** A network without a head has no dropout. */
  readonly dropout?: undefined
  /** A network without a head has no fc6 and fc7. */
  readonly headWidth?: undefined
}

/**
 * Options of a VGG net without a head, for features. It takes images of any size of at least 32x32 (2^blocks for a custom
 * row), another one in each call; `imageSize` is the size of the crops of image files only.
 */
export interface HeadlessOptions<Given extends VariantName | VariantRow = VariantName | VariantRow>
  extends TrunkOptions<Given>,
    NoHead {
  /** Class names, which must be empty: a network without a head has no classes. */
  classNames?: readonly string[] | undefined
}

/** Options of `VGG.create` for a net with its head: those of the model and those of the device. */
export interface VggOptions<Given extends VariantName | VariantRow = VariantName | VariantRow>
  extends ModelOptions<Given>,
    RunOptions {}
