import type { DecodingOptions } from '../data/images/formats.js'
import type { Tensor } from '../tensor.js'

/** Images to explain: a tensor of n images of one size; or image files, each a path or its bytes, of which crops are taken. */
export type ImagesToExplain = Tensor | string | Uint8Array | readonly (string | Uint8Array)[]

/** A class: its index from 0, or its name; the name of a class without one is its index as text. */
export type ClassChoice = number | string

/** Options of all explanations. */
export interface ExplainOptions extends DecodingOptions {
  /** The class to explain, for all images or one for each of them. Default: for each image the predicted class. */
  class?: ClassChoice | readonly ClassChoice[] | undefined
  /** Images computed at a time, from 1. Default 16. */
  batch?: number | undefined
  /** Aborts the computation, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
}

/** The class that is explained. */
export interface ExplainedClass {
  /** Name of the class; its index as text if the network has no names. */
  readonly class: string
  /** Index of the class, from 0. */
  readonly index: number
  /** Score of the class before the soft-max; for images larger than the network's, its mean over the class map. */
  readonly score: number
  /** Soft-max probability of the class, 0 to 1. */
  readonly probability: number
}

/** What an explanation computes. */
export type ExplainMethod = 'grad-cam' | 'saliency' | 'guided-backprop' | 'occlusion'

/** Maps of the pixels that a score depends on. */
export interface Explanation {
  /** The method that computed them. */
  readonly method: ExplainMethod
  /** The images as the network received them: those given, or uint8 [n, h, w, c] of files. */
  readonly images: Tensor
  /** The class explained of each image. */
  readonly classes: readonly ExplainedClass[]
  /** One map for each image, of its size: float32 [n, h, w]. */
  readonly maps: Tensor<'float32'>
}

/** Result of `gradCam`. `maps` are from 0 to 1, rescaled for each image. */
export interface GradCam extends Explanation {
  /** Name of the tensor whose channels were weighted, as given. */
  readonly layer: string
  /** The map of each image as computed, of the layer's size: float32 [n, h, w], at least 0. */
  readonly layerMaps: Tensor<'float32'>
}

/** Result of `saliency` and `guidedBackprop`. `maps` are the largest absolute value of the channels. */
export interface GradientExplanation extends Explanation {
  /** The gradient by pixel and channel, per unit of the pixel scale (0 to 255): float32 [n, c, h, w]. */
  readonly gradients: Tensor<'float32'>
}

/** Result of `occlusion`. `maps` are the mean drop of the score over the patches that cover a pixel. */
export interface Occlusion extends Explanation {
  /** Drop of the score for each position of the patch: float32 [n, rows, columns]. */
  readonly drops: Tensor<'float32'>
}
