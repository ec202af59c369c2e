import type { PixelSize } from '../data/images/crop.js'
import { VggError } from '../error.js'
import type { Layer } from '../layer.js'
import { knownTensors } from '../network/aliases.js'
import { tensorNamed } from '../network/arguments.js'
import { unexpected } from '../options.js'
import type { FeatureColumns, Pool, Transform } from './feature-description.js'

/** A tensor of a network for images of one size. */
interface KnownTensor extends PixelSize {
  readonly channels: number
  /** Whether no value is below 0. */
  readonly nonNegative: boolean
  /** Whether it is the output of a fully connected layer, or of a mean over space. */
  readonly ofHead: boolean
  /** Position of its layer. */
  readonly position: number
}

/** The tensors of a network by name, with their shapes for images of this size. */
function tensorsFor(layers: readonly Layer[], { height, width }: PixelSize): Map<string, KnownTensor> {
  const found = new Map<string, KnownTensor>()
  let [channels, nonNegative, ofHead] = [0, false, false]
  for (const [position, layer] of layers.entries()) {
    if (layer.kind === 'input') {
      channels = layer.channels
      continue
    }
    const add = (name: string) => found.set(name, { channels, nonNegative, ofHead, position, height, width })
    if (layer.kind === 'max-pool') [height, width] = [Math.floor(height / 2), Math.floor(width / 2)]
    if (layer.kind === 'linear') [height, width] = [height - layer.window[0] + 1, width - layer.window[1] + 1]
    if (layer.kind === 'spatial-mean') [height, width] = [1, 1]
    if (layer.kind === 'linear' || layer.kind === 'spatial-mean') ofHead = true
    if (layer.kind === 'convolution' || layer.kind === 'linear') [channels, nonNegative] = [layer.outputs, false]
    add(layer.name)
    if (!('relu' in layer) || layer.relu === undefined) continue
    nonNegative = true
    add(layer.relu)
  }
  return found
}

/** The last activations before the classes: 'relu7', or 'relu5_3' of a network D without a head. */
export function usualLayer(layers: readonly Layer[]): string {
  const last = layers.findLast((layer) => 'relu' in layer && layer.relu !== undefined)
  if (last !== undefined && 'relu' in last && last.relu !== undefined) return last.relu
  throw unexpected('names of tensors, since the network has no ReLU,', 'layers', undefined)
}

/** What is taken of a network. */
export interface Taken {
  /** Names of the tensors in this package, in the order in which they were asked for. */
  readonly tensors: readonly string[]
  readonly columns: readonly FeatureColumns[]
  /** The layers that the features depend on. */
  readonly layers: readonly Layer[]
}

/** What a caller asks for. */
interface Asked {
  readonly layers: readonly string[]
  readonly pool: readonly Pool[]
  readonly transform: Transform
}

/**
 * Decides which tensors are computed, and what the columns of a row are.
 * @param least the smallest images: where their map has one position, that of larger ones may have more
 * @param isFixed whether all images have that size
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export function takenOf(layers: readonly Layer[], asked: Asked, least: PixelSize, isFixed: boolean): Taken {
  const names = knownTensors(layers)
  const known = tensorsFor(layers, least)
  const tensors = asked.layers.map((name, index) => tensorNamed(name, `layers[${index}]`, names))
  const twice = tensors.findIndex((name, index) => tensors.indexOf(name) !== index)
  if (twice !== -1) throw unexpected('layers that differ', 'layers', asked.layers[twice])
  const columns: FeatureColumns[] = []
  let start = 0
  let last = 0
  for (const [index, tensor] of tensors.entries()) {
    const layer = asked.layers[index] ?? tensor
    const { height, width, channels, nonNegative, ofHead, position } = known.get(tensor) as KnownTensor
    if (height < 1 || width < 1) {
      const message = `Expected images large enough for ${layer} but those of ${least.height}x${least.width} leave nothing of it: use larger ones, or a layer before it`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    if (asked.transform === 'log1p' && !nonNegative) {
      const cure = "transform: 'none' takes any values"
      throw unexpected(
        "layers without values below 0, such as 'relu4_3', with transform: 'log1p'",
        'layers',
        layer,
        cure,
      )
    }
    const pools = isFixed && ofHead && height * width === 1 ? (['none'] as const) : asked.pool
    for (const pool of pools) {
      columns.push({ layer, pool, start, length: channels })
      start += channels
    }
    last = Math.max(last, position)
  }
  return { tensors, columns, layers: layers.slice(0, last + 1) }
}

/** Whether tensors of the head are among these names, in this package's, torchvision's or Keras's names. */
export const ofHead = (names: readonly string[]): boolean =>
  names.some((name) => /^(fc[1-9]|relu[678]|mean|classifier\.\d+)$/.test(name))
