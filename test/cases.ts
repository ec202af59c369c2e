import type { InputLayer, Layer } from '../lib/layer.js'
import { elementCount, type Shape } from './reference/tensor.js'

/** One case for correctness and for speed: a short network at one input shape. */
export interface LayerCase {
  readonly name: string
  readonly layers: readonly Layer[]
  /** Of the images, n c h w. */
  readonly shape: Shape
  readonly pixels: 'float32' | 'uint8'
  /** Multiply-adds of convolutions and linear layers in one forward pass over the batch. */
  readonly multiplyAdds: number
}

type Step = (channels: number) => Layer

function caseOf(name: string, shape: Shape, steps: readonly Step[], input: Partial<InputLayer> = {}): LayerCase {
  let [, channels, h, w] = shape
  let multiplyAdds = 0
  const ones = new Array<number>(channels).fill(1)
  const first: Layer = { kind: 'input', channels, mean: ones.map(() => 0), scale: ones, ...input }
  const layers = steps.map((step) => {
    const layer = step(channels)
    if (layer.kind === 'max-pool') [h, w] = [h >> 1, w >> 1]
    if (layer.kind === 'spatial-mean') [h, w] = [1, 1]
    if (layer.kind === 'linear') [h, w] = [h - layer.window[0] + 1, w - layer.window[1] + 1]
    if (layer.kind === 'convolution' || layer.kind === 'linear') {
      const window = layer.kind === 'linear' ? layer.window : [layer.kernel, layer.kernel]
      multiplyAdds += elementCount([shape[0], layer.outputs, h, w, channels, ...window])
      channels = layer.outputs
    }
    return layer
  })
  return { name, layers: [first, ...layers], shape, pixels: 'float32', multiplyAdds }
}

const convolution =
  (kernel: 1 | 3, outputs: number, relu?: string, name = 'conv'): Step =>
  () => ({ kind: 'convolution', name, outputs, kernel, ...(relu && { relu }) })

const linear =
  (outputs: number, window: readonly [number, number], relu?: string, name = 'fc'): Step =>
  () => ({ kind: 'linear', name, outputs, window, ...(relu && { relu }) })

/** A 1x1 convolution whose weight the tests make the identity: a network needs one layer with parameters. */
const carrier: Step = (channels) => ({ kind: 'convolution', name: 'carrier', outputs: channels, kernel: 1 })
const pool: Step = () => ({ kind: 'max-pool', name: 'pool' })
const pool2: Step = () => ({ kind: 'max-pool', name: 'pool2' })
const mean: Step = () => ({ kind: 'spatial-mean', name: 'mean' })
const norm =
  (size: number, alpha: number, k = 2, beta = 0.75): Step =>
  () => ({ kind: 'local-norm', name: 'norm', size, k, alpha, beta })

const rgb = { mean: [123.68, 116.779, 103.939], scale: [1 / 64, 1 / 32, 0.0171] }

export const inputCases: readonly LayerCase[] = [
  { ...caseOf('input float32', [2, 3, 5, 7], [carrier], rgb), pixels: 'float32' },
  { ...caseOf('input uint8', [3, 3, 4, 9], [carrier], rgb), pixels: 'uint8' },
  {
    ...caseOf('input uint8, one gray pixel', [1, 1, 1, 1], [carrier], { mean: [33.25], scale: [0.5] }),
    pixels: 'uint8',
  },
  { ...caseOf('input uint8, 19 channels', [2, 19, 3, 5], [carrier]), pixels: 'uint8' },
]

export const convolutionCases: readonly LayerCase[] = [
  caseOf('convolution 3x3 of an RGB image', [1, 3, 8, 8], [convolution(3, 16)]),
  caseOf('convolution 3x3 of a gray image to one channel', [1, 1, 5, 7], [convolution(3, 1)]),
  caseOf('convolution 3x3 5 -> 7', [2, 5, 6, 9], [convolution(3, 7)]),
  caseOf('convolution 3x3 16 -> 32 with ReLU', [2, 16, 7, 5], [convolution(3, 32, 'relu')]),
  caseOf('convolution 3x3 17 -> 33 with ReLU', [3, 17, 9, 4], [convolution(3, 33, 'relu')]),
  caseOf('convolution 3x3 on one pixel', [1, 4, 1, 1], [convolution(3, 3)]),
  caseOf('convolution 3x3 on one row', [2, 3, 1, 12], [convolution(3, 6)]),
  caseOf('convolution 3x3 on one column', [2, 16, 11, 1], [convolution(3, 16, 'relu')]),
  caseOf('convolution 3x3 20 -> 24 tall', [1, 20, 31, 18], [convolution(3, 24, 'relu')]),
  caseOf('convolution 3x3 of an RGB image, wide', [2, 3, 20, 37], [convolution(3, 20, 'relu')]),
  // enough images for what a device may do on small maps only
  caseOf('convolution 3x3 on 2x2, batch 33', [33, 20, 2, 2], [convolution(3, 24, 'relu')]),
  caseOf('convolution 3x3 on 1x3, batch 32', [32, 16, 1, 3], [convolution(3, 17)]),
  caseOf('convolution 3x3 on one pixel, batch 40', [40, 17, 1, 1], [convolution(3, 16, 'relu')]),
  caseOf('convolution 1x1 16 -> 16', [2, 16, 5, 7], [convolution(1, 16)]),
  caseOf('convolution 1x1 3 -> 5 with ReLU', [1, 3, 4, 9], [convolution(1, 5, 'relu')]),
  caseOf('convolution 1x1 33 -> 20', [3, 33, 6, 2], [convolution(1, 20, 'relu')]),
]

export const poolCases: readonly LayerCase[] = [
  caseOf('max-pool', [2, 5, 6, 8], [carrier, pool]),
  caseOf('max-pool of odd height and width', [1, 3, 7, 9], [carrier, pool]),
  caseOf('max-pool to one pixel', [3, 16, 2, 3], [carrier, pool]),
  caseOf('max-pool of odd height, 33 channels', [2, 33, 5, 4], [carrier, pool]),
  caseOf('max-pool twice', [2, 16, 9, 13], [carrier, pool, pool2]),
  // whole numbers: about one window in a hundred has equal maxima, and more of them behind the first pool
  { ...caseOf('max-pool of equal maxima', [2, 17, 20, 24], [carrier, pool, pool2]), pixels: 'uint8' },
]

export const normCases: readonly LayerCase[] = [
  caseOf('local norm as in A-LRN', [2, 64, 5, 4], [carrier, norm(5, 1e-4)]),
  caseOf('local norm in the form of Caffe', [1, 16, 3, 4], [carrier, norm(5, 1e-4 / 5, 1)]),
  caseOf('local norm that bites', [2, 37, 3, 5], [carrier, norm(5, 0.5)]),
  caseOf('local norm, one channel', [2, 1, 4, 3], [carrier, norm(5, 0.25)]),
  caseOf('local norm over 3 of 7 channels', [1, 7, 6, 5], [carrier, norm(3, 0.5, 1, 0.5)]),
  caseOf('local norm of single channels', [1, 20, 2, 2], [carrier, norm(1, 0.5)]),
  caseOf('local norm wider than the channels', [1, 3, 2, 5], [carrier, norm(9, 0.5)]),
]

export const linearCases: readonly LayerCase[] = [
  caseOf('linear 1x1', [2, 10, 1, 1], [linear(7, [1, 1])]),
  caseOf('linear to one output, batch 1', [1, 33, 1, 1], [linear(1, [1, 1])]),
  caseOf('linear batch 37 with ReLU', [37, 48, 1, 1], [linear(17, [1, 1], 'relu')]),
  caseOf('linear 7x7', [2, 20, 7, 7], [linear(12, [7, 7], 'relu')]),
  caseOf('linear 2x3', [3, 5, 2, 3], [linear(16, [2, 3])]),
  caseOf('linear 2x2 sliding over 5x4', [2, 6, 5, 4], [linear(9, [2, 2])]),
  caseOf('linear 7x7 sliding over 9x8 with ReLU', [1, 16, 9, 8], [linear(10, [7, 7], 'relu')]),
  caseOf('linear 1x1 sliding over 3x5', [2, 17, 3, 5], [linear(19, [1, 1])]),
  caseOf(
    'linear behind a sliding linear, averaged',
    [2, 16, 4, 6],
    [linear(18, [3, 3], 'relu6', 'fc6'), linear(11, [1, 1], undefined, 'fc7'), mean],
  ),
  caseOf('spatial mean', [2, 19, 3, 7], [carrier, mean]),
]

/** More than one layer: what is fused, and what one layer hands to another. */
export const combinedCases: readonly LayerCase[] = [
  caseOf('convolution, ReLU and max-pool', [2, 5, 9, 6], [convolution(3, 20, 'relu'), pool]),
  caseOf('convolution and max-pool without ReLU', [1, 16, 6, 7], [convolution(3, 16), pool]),
  caseOf('convolution 1x1, ReLU and max-pool', [2, 16, 5, 5], [convolution(1, 33, 'relu'), pool]),
  caseOf('the first block of A-LRN', [2, 3, 9, 8], [convolution(3, 24, 'relu'), norm(5, 1e-2), pool]),
  caseOf(
    'two convolutions, max-pool, convolution',
    [2, 3, 10, 7],
    [
      convolution(3, 8, 'relu1', 'conv1'),
      convolution(3, 16, 'relu2', 'conv2'),
      pool,
      convolution(1, 18, 'relu3', 'conv3'),
    ],
  ),
  caseOf(
    'the last block of a small image, batch 32',
    [32, 18, 2, 2],
    [convolution(3, 20, 'relu1', 'conv1'), convolution(3, 33, 'relu2', 'conv2'), pool],
  ),
  caseOf(
    'max-pool, linear and linear',
    [3, 4, 7, 6],
    [
      convolution(3, 18, 'relu'),
      pool,
      linear(21, [3, 3], 'relu6', 'fc6'),
      linear(16, [1, 1], 'relu7', 'fc7'),
      linear(5, [1, 1], undefined, 'fc8'),
    ],
  ),
]

const dropping =
  (probability: number, step: Step): Step =>
  (channels) =>
    ({ ...step(channels), dropout: probability }) as Layer

/** Each ends in the dropout whose mask is looked at. */
export const dropoutCases: readonly LayerCase[] = [
  caseOf('dropout behind a ReLU', [5, 3, 2, 2], [dropping(0.5, linear(35, [2, 2], 'relu6', 'fc6'))]),
  caseOf('dropout without ReLU', [2, 16, 1, 1], [dropping(0.25, linear(64, [1, 1], undefined, 'fc6'))]),
  caseOf(
    'the second dropout',
    [4, 6, 3, 3],
    [
      dropping(0.5, linear(20, [3, 3], 'relu6', 'fc6')),
      linear(18, [1, 1], 'relu7', 'fc7'),
      dropping(0.3, linear(33, [1, 1], 'relu8', 'fc8')),
    ],
  ),
  caseOf('dropout of a sliding linear', [3, 2, 4, 5], [dropping(0.5, linear(19, [2, 2], 'relu6', 'fc6'))]),
]

/** A small whole network with classes, for what happens in training. */
export const trainingCase: LayerCase = {
  ...caseOf(
    'a small VGG',
    [6, 3, 12, 10],
    [
      convolution(3, 10, 'relu1_1', 'conv1_1'),
      norm(5, 1e-2),
      () => ({ kind: 'max-pool', name: 'pool1' }),
      convolution(3, 18, 'relu2_1', 'conv2_1'),
      convolution(3, 20, 'relu2_2', 'conv2_2'),
      () => ({ kind: 'max-pool', name: 'pool2' }),
      dropping(0.5, linear(24, [3, 2], 'relu6', 'fc6')),
      dropping(0.4, linear(20, [1, 1], 'relu7', 'fc7')),
      linear(7, [1, 1], undefined, 'fc8'),
    ],
    rgb,
  ),
  pixels: 'uint8',
}

/** Large enough for Winograd; the same in direct mode. */
export const winogradCases: readonly LayerCase[] = [
  caseOf('convolution 3x3 64 -> 64, 30x27', [2, 64, 30, 27], [convolution(3, 64)]),
  caseOf('convolution 3x3 128 -> 128, 28x28', [1, 128, 28, 28], [convolution(3, 128, 'relu')]),
  caseOf('convolution 3x3 128 -> 144, 14x14', [4, 128, 14, 14], [convolution(3, 144, 'relu')]),
  caseOf('convolution 3x3 48 -> 80, 19x33', [4, 48, 19, 33], [convolution(3, 80)]),
  caseOf('convolution 3x3 32 -> 64 and max-pool', [3, 32, 24, 20], [convolution(3, 64), pool]),
]

/** Many blocks of tiles, each thread with planes of its own; weights so large that they are read once, with a last panel of one block. */
export const tileBlockCases: readonly LayerCase[] = [
  caseOf('convolution 3x3 16 -> 16, 130x126', [2, 16, 130, 126], [convolution(3, 16, 'relu')]),
  caseOf('convolution 3x3 256 -> 264, 11x13', [4, 256, 11, 13], [convolution(3, 264, 'relu')]),
]

export const layerCases: readonly LayerCase[] = [
  ...inputCases,
  ...convolutionCases,
  ...poolCases,
  ...normCases,
  ...linearCases,
  ...combinedCases,
]

/** The different convolutions of VGG-16 at 224x224, for the bench: too large for the float64 reference. */
export function vgg16Cases(batch: number): readonly LayerCase[] {
  const shapes = [
    [3, 64, 224],
    [64, 64, 224],
    [64, 128, 112],
    [128, 128, 112],
    [128, 256, 56],
    [256, 256, 56],
    [256, 512, 28],
    [512, 512, 28],
    [512, 512, 14],
  ] as const
  return shapes.map(([channels, outputs, side]) =>
    caseOf(
      `convolution 3x3 ${channels} -> ${outputs}, ${side}x${side}`,
      [batch, channels, side, side],
      [convolution(3, outputs, 'relu')],
    ),
  )
}
