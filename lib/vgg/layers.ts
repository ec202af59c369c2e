import type { Layer } from '../layer.js'
import type { Preprocessing } from './preprocessing.js'
import type { Variant } from './variants.js'

/** Every choice that makes a VGG net; plain data, saved with the model. */
export interface VggConfiguration {
  /** The row of Table 1. */
  readonly variant: Variant
  /** Outputs of fc8. */
  readonly classes: number
  /** Channels of the images. */
  readonly channels: number
  /** In pixels. */
  readonly imageSize: readonly [height: number, width: number]
  /** Share of the outputs of fc6 and fc7 that are set to 0 in training. */
  readonly dropout: number
  /** Outputs of fc6 and fc7. */
  readonly headWidth: number
  /** Multiplier of the convolutions' channels. */
  readonly width: number
  /** Subtracted from each pixel, by channel. */
  readonly meanRgb: readonly number[]
  /** Multiplier of each pixel after that, by channel. */
  readonly scale: readonly number[]
  /** Whose parameters the normalisation of A-LRN has. */
  readonly localNorm: 'literal' | 'caffe'
  /** What was done to images beforehand; no part of the network. */
  readonly preprocessing?: Preprocessing
}

// Krizhevsky 2012, with alpha not divided by the number of channels in the sum. Caffe divides, and its AlexNet had
// k = 1: alpha 1e-4 / 5.
const localNorms = {
  literal: { size: 5, k: 2, alpha: 1e-4, beta: 0.75 },
  caffe: { size: 5, k: 1, alpha: 2e-5, beta: 0.75 },
} as const

/** Channels of a block: at least one, however narrow the network. */
export const scaledChannels = (channels: number, width: number): number => Math.max(1, Math.round(channels * width))

/** The window of fc6: what the pools, one after each block, leave of the image. */
export const headWindow = (imageSize: readonly [number, number], blocks: number): [number, number] => [
  Math.floor(imageSize[0] / 2 ** blocks),
  Math.floor(imageSize[1] / 2 ** blocks),
]

function blockLayers(block: number, { variant, width, localNorm }: VggConfiguration): Layer[] {
  const outputs = scaledChannels(variant.channels[block - 1] ?? 0, width)
  const entries = variant.blocks[block - 1] ?? []
  const layers = entries.map((entry, index): Layer => {
    if (entry === 'LRN') return { kind: 'local-norm', name: `norm${block}`, ...localNorms[localNorm] }
    const position = entries.slice(0, index + 1).filter((other) => other !== 'LRN').length
    const [name, relu] = [`conv${block}_${position}`, `relu${block}_${position}`]
    return { kind: 'convolution', name, outputs, kernel: entry, relu }
  })
  return [...layers, { kind: 'max-pool', name: `pool${block}` }]
}

/**
 * The layers of a VGG net (Sect. 2.1), by the names of the authors' release: conv1_1, relu1_1, pool1, norm1, ...,
 * fc6, relu6, fc7, relu7, fc8. With more or fewer than five blocks the head keeps its names.
 */
export function vggLayers(configuration: VggConfiguration): Layer[] {
  const { variant, classes, channels, imageSize, dropout, headWidth, meanRgb, scale } = configuration
  const window = headWindow(imageSize, variant.blocks.length)
  return [
    { kind: 'input', channels, mean: meanRgb, scale },
    ...variant.blocks.flatMap((_, index) => blockLayers(index + 1, configuration)),
    { kind: 'linear', name: 'fc6', outputs: headWidth, window, relu: 'relu6', dropout },
    { kind: 'linear', name: 'fc7', outputs: headWidth, window: [1, 1], relu: 'relu7', dropout },
    { kind: 'linear', name: 'fc8', outputs: classes, window: [1, 1] },
  ]
}
