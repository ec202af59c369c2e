import { flipsOf } from '../data/batch.js'
import type { Dataset } from '../data/dataset.js'
import type { Network } from '../network/network.js'
import { bytesText, countedText } from '../table.js'
import { bytesOfTap, type FeatureSource, versionsOf } from './feature-data.js'
import type { RecordedOptions } from './options.js'
import { type Tap, tapOf } from './tap.js'

/** Multiply-adds for a byte of their result below which layers are computed faster than it is read from a disk. */
const leastOperations = 100

/** Frozen leading layers of a training, and whether their output is computed once for each image. */
export interface FrozenLayers {
  /** The layers with parameters, in order. */
  readonly layers: readonly string[]
  /** Name of their output: 'pool4'. */
  readonly tensor: string
  /** Number of images, training and validation. */
  readonly images: number
  /** Whether the output of the mirrored training images is computed too. */
  readonly mirrored: boolean
  /** Bytes of the output for all images. */
  readonly bytes: number
  /** Why each step computes it, as the end of a sentence; undefined where it is computed once. */
  readonly obstacle: string | undefined
}

/** How the output of frozen leading layers is computed once for each image. */
export interface FeaturePlan extends FrozenLayers {
  readonly tap: Tap
  /** Number of training images in a pass. */
  readonly pass: number
  /** Number of validation images in a pass. */
  readonly validationPass: number
  /** The random flips of the training; undefined if there are none. */
  readonly flips: FeatureSource['flips']
}

/** The training that is planned. */
interface PlannedTraining
  extends Pick<RecordedOptions, 'freeze' | 'batch' | 'microBatch' | 'flip' | 'shift' | 'epochs'> {
  readonly training: Dataset
  readonly validation: Dataset | undefined
  readonly signal: AbortSignal | undefined
}

/** Number of images in a pass over the validation data. */
export const validationBatch = (batch: number): number => Math.min(batch, 256)

/** `conv1_1 to conv4_3 are frozen` */
export function frozenText({ layers }: FrozenLayers): string {
  const [first, last] = [layers[0], layers.at(-1)]
  return first === last ? `${first} is frozen` : `${first} to ${last} are frozen`
}

/** `pool4 of 2,187 images, mirrored too, is computed once, 1.59 GiB` */
export const onceText = ({ tensor, images, mirrored, bytes }: FrozenLayers): string =>
  `${tensor} of ${countedText(images, 'image')}${mirrored ? ', mirrored too,' : ''} is computed once, ${bytesText(bytes)}`

/**
 * Plans the frozen leading layers of a training. Reads the sizes of images, if these decide whether their crops differ.
 * @returns undefined if the first layer learns
 * @throws ABORTED
 */
export async function featurePlan(net: Network, planned: PlannedTraining): Promise<FeaturePlan | undefined> {
  const { training, validation, freeze, batch, microBatch, shift, epochs } = planned
  if (freeze.length === 0) return undefined
  const pass = Math.min(microBatch ?? batch, batch, training.count)
  const heldOut = validation?.count ?? 0
  const validationPass = Math.min(validationBatch(batch), heldOut)
  const tap = tapOf(net, training, freeze, validation === undefined ? [pass] : [pass, validationPass])
  if (tap === undefined) return undefined
  const flips = flipsFor(training, planned.flip)
  const versions = versionsOf({ flips })
  return {
    layers: tap.layers,
    tensor: tap.tensor,
    images: training.count + heldOut,
    mirrored: flips !== undefined,
    bytes: bytesOfTap(tap) * (training.count * versions + heldOut),
    obstacle: uselessIf(tap, epochs, versions) ?? (await randomness(training, shift, planned.signal)),
    ...{ tap, pass, validationPass, flips },
  }
}

/** The random flips of a training; undefined if there are none. */
function flipsFor({ readAugmented, randomReads }: Dataset, flip: boolean): FeatureSource['flips'] {
  if (readAugmented === undefined) return flip ? flipsOf : undefined
  return randomReads?.flips?.bind(randomReads)
}

const cures = {
  crop: 'randomCrop: false (--no-crop)',
  size: 'a fixed smallestSide (--smallest-side)',
  colour: 'colour: false (--no-colour)',
}

/** Why it would not help to compute a tap once for each image; undefined if it does. */
function uselessIf(tap: Tap, epochs: number, versions: number): string | undefined {
  if (tap.multiplyAdds < leastOperations * bytesOfTap(tap))
    return 'reading the output would take longer than computing it'
  if (epochs > versions) return undefined
  return `${countedText(epochs, 'epoch')} would not gain from computing the output once`
}

/** What makes the images of each epoch different, with its cure; undefined if nothing but flips does. */
async function randomness(
  { readAugmented, randomReads }: Dataset,
  shift: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (readAugmented !== undefined && randomReads === undefined) return 'what the data change at random is not known'
  const { changes = [] } = randomReads ?? {}
  const random = [...changes.map((change) => cures[change]), ...(shift > 0 ? ['shift: 0 (--shift)'] : [])]
  if (random.length === 0) return undefined
  const onlyCrops = random.length === 1 && changes[0] === 'crop'
  if (onlyCrops && (await randomReads?.cropsDiffer?.(signal)) === false) return undefined
  return `the output differs in each epoch; ${random.join(', ')} would let it be computed once`
}
