// The least time that each layer can take on a GPU, and the measured time of each stage compared with it. The least time is the
// greater of two: its operations at the rate of a large product, and its bytes at the rate of a large copy, each byte read or
// written once. Both rates are measured.
import { describe, type Tensor, type VGG } from '../lib/index.js'
import type { Mode } from '../lib/measure/ours.js'

export interface Ceilings {
  /** Floating-point operations per second of a large product in the network's precision. */
  readonly flopsPerSecond: number
  /** Bytes read plus bytes written per second of a large copy on the GPU. */
  readonly bytesPerSecond: number
}

/** The work of one pass: forward, input gradient or weight gradient. */
export interface Work {
  readonly flops: number
  readonly bytes: number
}

/** A layer as `describe` returns it. Shapes are n c h w. */
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

/** Element type of the values between layers. Parameters and their gradients are always float32. */
export type Stored = 'bf16' | 'tf32' | 'float32'

const elementBytes = { bf16: 2, tf32: 4, float32: 4 } as const
const gradientBytes = 4
/** A GPU stores channels in multiples of this number. */
const channelLanes = 8
/** Bytes of a max-pool's index, for each output. */
const indexBytes = 1

const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

function storedBytes(shape: readonly number[], stored: Stored): number {
  const [n = 1, c = 1, ...rest] = shape
  return elementBytes[stored] * countOf([n, Math.ceil(c / channelLanes) * channelLanes, ...rest])
}

/** The first layer with weights has no input gradient. */
function weightedWork(layer: LayerShape, stored: Stored, first: boolean): Omit<LayerWork, 'name'> {
  const [x, y] = [storedBytes(layer.input, stored), storedBytes(layer.output, stored)]
  const weights = elementBytes[stored] * layer.parameters
  const flops = 2 * layer.multiplyAdds
  const weightGradient = { flops, bytes: x + y + gradientBytes * layer.parameters }
  // x is read a second time: the gradient is zero where ReLU was
  const inputGradient = { flops, bytes: y + weights + x + x }
  return {
    forward: [{ flops, bytes: x + y + weights }],
    backward: first ? [weightGradient] : [inputGradient, weightGradient],
  }
}

function workOf(layer: LayerShape, stored: Stored, mode: Mode, first: boolean): Omit<LayerWork, 'name'> {
  const [x, y] = [storedBytes(layer.input, stored), storedBytes(layer.output, stored)]
  if (layer.kind === 'convolution' || layer.kind === 'linear') return weightedWork(layer, stored, first)
  // pixels are one byte for each channel
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

/** SGD over all parameters: weight, velocity and gradient are read; weight, velocity and the copy in bfloat16 are written. */
export function updateWork(layers: readonly LayerShape[], stored: Stored): Work {
  const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0)
  return { flops: 0, bytes: parameters * (5 * 4 + (stored === 'bf16' ? elementBytes.bf16 : 0)) }
}

/** The least seconds of these passes in sequence. */
export const leastSeconds = (works: readonly Work[], { flopsPerSecond, bytesPerSecond }: Ceilings): number =>
  works.reduce((sum, { flops, bytes }) => sum + Math.max(flops / flopsPerSecond, bytes / bytesPerSecond), 0)

/** The least seconds of a whole training step, or of an inference. */
export function leastSecondsOf(layers: readonly LayerShape[], stored: Stored, mode: Mode, ceilings: Ceilings): number {
  const passes = layerWorks(layers, stored, mode).flatMap(({ forward, backward }) => [...forward, ...backward])
  return leastSeconds(mode === 'training' ? [...passes, updateWork(layers, stored)] : passes, ceilings)
}

export interface Pass {
  readonly milliseconds: number
  readonly teraflopsPerSecond: number
  readonly terabytesPerSecond: number
  /** Least time over time; absent if the ceilings are unknown. */
  readonly share?: number
}

export interface StageRow {
  readonly name: string
  readonly forward: Pass
  /** Both gradients; absent if the stage has none. */
  readonly backward?: Pass
}

type Profile = Awaited<ReturnType<VGG['profile']>>

/** A stage with a smaller share is marked in the table. */
export const poorShare = 0.4

function passOf(milliseconds: number, works: readonly Work[], ceilings: Ceilings | undefined): Pass {
  const total = (part: 'flops' | 'bytes') => works.reduce((sum, work) => sum + work[part], 0)
  const perSecond = (amount: number) => amount / (milliseconds / 1000) / 1e12
  const pass = {
    milliseconds,
    teraflopsPerSecond: perSecond(total('flops')),
    terabytesPerSecond: perSecond(total('bytes')),
  }
  if (ceilings === undefined || works.length === 0) return pass
  return { ...pass, share: (1000 * leastSeconds(works, ceilings)) / milliseconds }
}

/** The least time of each stage over several profiles. */
export async function bestProfile(net: Pick<VGG, 'profile'>, images: Tensor, rounds: number): Promise<Profile> {
  const profiles: Profile[] = []
  for (let round = 0; round < rounds; round++) profiles.push(await net.profile(images))
  return (profiles[0] ?? []).map((stage, index) => {
    const best = (part: 'forwardMs' | 'backwardMs') => Math.min(...profiles.map((rows) => rows[index]?.[part] ?? 0))
    return { ...stage, forwardMs: best('forwardMs'), backwardMs: best('backwardMs') }
  })
}

/** Times each stage of a training step alone, not captured as a graph, and compares it with the least time. */
export async function stageRows(
  net: VGG,
  images: Tensor,
  stored: Stored,
  ceilings: Ceilings | undefined,
  rounds: number,
): Promise<StageRow[]> {
  const [batch = 0, height = 0, width = 0] = images.shape
  const { layers } = describe({ layers: net.layers, shape: [batch, net.channels, height, width], device: 'cpu' })
  const works = new Map(layerWorks(layers, stored, 'training').map((work) => [work.name, work]))
  return (await bestProfile(net, images, rounds)).map(({ name, forwardMs, backwardMs }) => {
    // 'conv1_2+pool1' is one stage of two layers
    const parts = name.split('+').flatMap((layer) => works.get(layer) ?? [])
    const passes = (direction: 'forward' | 'backward') => parts.flatMap((part) => part[direction])
    const forward = passOf(forwardMs, passes('forward'), ceilings)
    if (backwardMs === 0) return { name, forward }
    return { name, forward, backward: passOf(backwardMs, passes('backward'), ceilings) }
  })
}
