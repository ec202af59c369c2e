// Which tensor a training with frozen leading layers can start from, and which of its passes give the same bits.
import { layersWithParameters, tensorsBetween } from '../layer.js'
import { describe } from '../network/describe.js'
import type { Network } from '../network/network.js'
import type { DescribedStage } from '../platform/native-description.js'

/** The last tensor before the first layer that learns. */
export interface Tap {
  /** Name of the tensor, such as 'pool4'. */
  readonly tensor: string
  /** Its shape for one image: channels, height, width. */
  readonly shape: readonly [channels: number, height: number, width: number]
  /** The layers with parameters before it, all frozen. */
  readonly layers: readonly string[]
  /** Multiply-adds for one image to compute it. */
  readonly multiplyAdds: number
}

type Size = { readonly height: number; readonly width: number }

function stagesFor(net: Network, { height, width }: Size, images: number): DescribedStage[] {
  const { layers, precision, deterministic, run, channels } = net
  const device = net.device as 'cpu' | `cuda:${number}`
  const shape = [images, channels, height, width]
  return describe({ layers, shape, training: true, device, precision, deterministic, exact: run.exact }).stages
}

/** The names of a stage's layers: 'conv4_3+pool4' is both. */
const layersOfStage = ({ name }: DescribedStage): string[] => name.split('+')

/** The algorithm of a stage's forward pass. */
const forwardOf = ({ algorithm }: DescribedStage): string => algorithm.split('/')[0] ?? ''

// Sums of a product of matrices are ordered by its number of rows, so their last bits depend on the other images.
const dependsOnOthers = (stage: DescribedStage): boolean => stage.kind === 'linear' || forwardOf(stage) === 'matrix'

/**
 * The tensor after the longest run of leading layers that are frozen and whose results for an image do not depend on the
 * images beside it.
 * @param sizes numbers of images in the passes of the training
 * @returns undefined if the first layer learns
 */
export function tapOf(net: Network, size: Size, frozen: readonly string[], sizes: readonly number[]): Tap | undefined {
  const [first = [], ...others] = sizes.map((images) => stagesFor(net, size, images))
  const known = layersWithParameters(net.layers)
  const between = [...tensorsBetween(net.layers).keys()]
  const layers: string[] = []
  let multiplyAdds = 0
  let last: DescribedStage | undefined
  for (const [index, stage] of first.entries()) {
    const own = layersOfStage(stage).filter((name) => known.includes(name))
    if (own.some((name) => !frozen.includes(name))) break
    if (dependsOnOthers(stage) || others.some((stages) => stages[index] && dependsOnOthers(stages[index]))) break
    layers.push(...own)
    multiplyAdds += stage.multiplyAdds / (sizes[0] ?? 1)
    last = stage
  }
  if (last === undefined || layers.length === 0) return undefined
  const tensor = between[tapPosition(net, layersOfStage(last).at(-1) ?? '')]
  const [, channels = 0, height = 0, width = 0] = last.output
  return tensor === undefined ? undefined : { tensor, shape: [channels, height, width], layers, multiplyAdds }
}

const tapPosition = (net: Network, layer: string): number =>
  net.layers.findIndex((one) => 'name' in one && one.name === layer) - 1

/**
 * A function that says whether passes over so many images compute a tap with the same bits as passes over `images`: by the
 * same algorithms on the CPU. A GPU gives equal bits for equal numbers only, where it is asked for any.
 */
export function sameBits(net: Network, size: Size, tap: Tap, images: number): (count: number) => boolean {
  if (net.device !== 'cpu') return (count) => !net.deterministic || count === images
  const known = new Map<number, string>()
  const algorithms = (count: number): string => {
    const found = known.get(count) ?? algorithmsOf(stagesFor(net, size, count), tap)
    known.set(count, found)
    return found
  }
  return (count) => count === images || algorithms(count) === algorithms(images)
}

function algorithmsOf(stages: readonly DescribedStage[], { layers }: Tap): string {
  const last = stages.findLastIndex((stage) => layersOfStage(stage).some((name) => layers.includes(name)))
  return stages
    .slice(0, last + 1)
    .map(forwardOf)
    .join(' ')
}
