import type { Layer } from '../../layer.js'
import type { Container, WeightFile } from '../containers/weight-file.js'

/** The images that weights were trained on. */
export interface Pixels {
  /** Mean of red, green and blue, which is subtracted from pixels from 0 to 255. */
  readonly meanRgb: readonly [red: number, green: number, blue: number]
  /** Multiplier of red, green and blue after that. */
  readonly scale: readonly [red: number, green: number, blue: number]
  /** Order of the input channels of conv1_1 in the file; BGR is brought to RGB when the weights are read. */
  readonly order: 'RGB' | 'BGR'
  /** S of Sect. 3.1: smallest side of the resized image in pixels, from which the crop is taken. */
  readonly smallestSide: number
}

/** Mean and scale of the authors' release (Caffe) for red, green and blue. */
export const caffePixels = { meanRgb: [123.68, 116.779, 103.939], scale: [1, 1, 1], smallestSide: 256 } as const

/** A weight or a bias of a layer of ours: 'conv1_1.weight'. */
export interface WantedTensor {
  readonly layer: string
  readonly part: 'weight' | 'bias'
  /** Index of the layer among the convolutions or among the linear layers, from 0. */
  readonly index: number
  readonly kind: 'convolution' | 'linear'
  /** Side of a convolution's kernel; 0 for a linear layer. */
  readonly kernel: number
  /** All layers of the network. */
  readonly layers: readonly Layer[]
}

/**
 * The table of a source of weights: everything that distinguishes its files from those of others. A source is one file and
 * one row in `sources`.
 */
export interface Source {
  /** Name that is recorded and that the option `source` takes: 'torchvision'. */
  readonly name: string
  /** What it is, for messages: "torchvision's VGG". */
  readonly title: string
  readonly containers: readonly Container[]
  /** SPDX identifier of the weights' licence, or the name of its terms. Undefined where the file does not imply one. */
  readonly licence?: string | undefined
  readonly pixels: Pixels
  /** Class names implied by that number of outputs: those of ImageNet for 1000. */
  readonly classNames?: 'imagenet' | undefined
  /** Number of outputs of fc8 by which the source is known, where another one has the same names. */
  readonly classes?: number
  /** true where every file is refused: the source is recognised only to say why. */
  readonly isRefused?: true
  /** The possible names in the file of a tensor of ours; the first that the file has is taken. Empty: the source has none. */
  names(wanted: WantedTensor): readonly string[]
  /** Order of the axes of a convolution's weight: outputs, inputs, height, width. */
  readonly convolution: 'oihw' | 'hwio'
  /** Order of the axes of a linear weight. Those with height and width have any number of axes, such as [o, c, h, w]. */
  readonly linear: 'oi' | 'io'
  /** Order in which fc6 takes the channels, rows and columns of the last feature map. */
  readonly flattened: 'chw' | 'hwc'
  /** Names of tensors that belong to the source and are not parameters of a VGG net; they are not read. */
  readonly ignored?: RegExp
  /** Whether the values of a file show that it is of this source, where another source has the same names. */
  isOf?(file: Pick<WeightFile, 'tensors' | 'first'>): Promise<boolean>
  /**
   * Reason to refuse a file that looks like this source, as the end of a sentence; undefined if there is none.
   * @param file its tensors, layers and metadata
   * @param head 'none' if the head is not wanted
   */
  refusal?(file: Pick<WeightFile, 'tensors' | 'layers' | 'metadata'>, head: 'none' | undefined): string | undefined
}
