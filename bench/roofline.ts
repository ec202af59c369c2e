// The least time that each layer can take on a card: the greater of its operations at the card's rate of products and its
// bytes at the card's rate of copying, each byte read or written once. Both rates are measured, not taken from a data sheet.
import type { Mode } from '../lib/measure/case.js'

export interface Ceilings {
  /** Of a large product in the network's precision, floating-point operations per second. */
  readonly flopsPerSecond: number
  /** Of a large copy on the card, bytes read plus bytes written per second. */
  readonly bytesPerSecond: number
}

/** One pass over memory and arithmetic: a forward, an input gradient, a weight gradient. */
export interface Work {
  readonly flops: number
  readonly bytes: number
}

/** What `describe` tells of a layer. Shapes are n c h w. */
export interface LayerShape {
  readonly name: string
  readonly kind: string
  readonly input: readonly number[]
  readonly output: readonly number[]
  readonly multiplyAdds: number
  readonly parameters: number
}

export interface LayerWork {
  readonly name: string
  readonly forward: readonly Work[]
  readonly backward: readonly Work[]
}

/** How values are kept between layers. Parameters and their gradients are float32 always. */
export type Stored = 'bf16' | 'tf32' | 'float32'

const elementBytes = { bf16: 2, tf32: 4, float32: 4 } as const
const gradientBytes = 4
/** A card stores channels in multiples of this. */
const channelLanes = 8
/** Of a max-pool, for each output. */
const indexBytes = 1

const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

function storedBytes(shape: readonly number[], stored: Stored): number {
  const [n = 1, c = 1, ...rest] = shape
  return elementBytes[stored] * countOf([n, Math.ceil(c / channelLanes) * channelLanes, ...rest])
}

/** The first layer with weights hands no gradient down. */
function weightedWork(layer: LayerShape, stored: Stored, first: boolean): Omit<LayerWork, 'name'> {
  const [x, y] = [storedBytes(layer.input, stored), storedBytes(layer.output, stored)]
  const weights = elementBytes[stored] * layer.parameters
  const flops = 2 * layer.multiplyAdds
  const weightGradient = { flops, bytes: x + y + gradientBytes * layer.parameters }
  // x is read again: the gradient is masked where the input was rectified
  const inputGradient = { flops, bytes: y + weights + x + x }
  return {
    forward: [{ flops, bytes: x + y + weights }],
    backward: first ? [weightGradient] : [inputGradient, weightGradient],
  }
}

function workOf(layer: LayerShape, stored: Stored, mode: Mode, first: boolean): Omit<LayerWork, 'name'> {
  const [x, y] = [storedBytes(layer.input, stored), storedBytes(layer.output, stored)]
  if (layer.kind === 'convolution' || layer.kind === 'linear') return weightedWork(layer, stored, first)
  // pixels come as one byte for each channel
  if (layer.kind === 'input') return { forward: [{ flops: 0, bytes: countOf(layer.input) + y }], backward: [] }
  const index = layer.kind === 'max-pool' && mode === 'training' ? indexBytes * countOf(layer.output) : 0
  return { forward: [{ flops: 0, bytes: x + y + index }], backward: [{ flops: 0, bytes: y + x + index }] }
}

/** The passes of each layer of a network, in order. */
export function layerWorks(layers: readonly LayerShape[], stored: Stored, mode: Mode): LayerWork[] {
  const first = layers.findIndex((layer) => layer.parameters > 0)
  return layers.map((layer, index) => {
    const { forward, backward } = workOf(layer, stored, mode, index === first)
    return { name: layer.name, forward, backward: mode === 'training' ? backward : [] }
  })
}

/**
 * SGD over all parameters: weight, velocity and gradient are read, weight, velocity and the copy in bfloat16 written.
 */
export function updateWork(layers: readonly LayerShape[], stored: Stored): Work {
  const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0)
  return { flops: 0, bytes: parameters * (5 * 4 + (stored === 'bf16' ? elementBytes.bf16 : 0)) }
}

/** The least seconds for these passes, one after the other. */
export const leastSeconds = (works: readonly Work[], { flopsPerSecond, bytesPerSecond }: Ceilings): number =>
  works.reduce((sum, { flops, bytes }) => sum + Math.max(flops / flopsPerSecond, bytes / bytesPerSecond), 0)

/** The least seconds of a whole training step, or of an inference. */
export function leastSecondsOf(layers: readonly LayerShape[], stored: Stored, mode: Mode, ceilings: Ceilings): number {
  const passes = layerWorks(layers, stored, mode).flatMap(({ forward, backward }) => [...forward, ...backward])
  return leastSeconds(mode === 'training' ? [...passes, updateWork(layers, stored)] : passes, ceilings)
}
