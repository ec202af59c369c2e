import type { Dataset } from '../data/dataset.js'
import { type Batch, epochImages, Loader } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import { describe } from '../network/describe.js'
import { fittingBatch, networkNeeds, partOf } from '../network/fitting-batch.js'
import type { Initialisation } from '../network/open.js'
import { countedText } from '../table.js'
import { trainChecks } from '../train/options.js'
import { leastSteps } from '../train/sized-options.js'
import type { VGG } from '../vgg/vgg.js'
import type { Finding } from './findings.js'

/** Device memory that training needs, as the planner computes it. */
export interface MemoryReport {
  /** Number of images in a step, as requested. */
  readonly batch: number
  /** Bytes for training on the whole batch at once, or on the most images that the device takes at once, everything included. */
  readonly bytes: number
  /** Bytes available: free memory less a margin, or the memory limit. */
  readonly available: number
  /** Number of images of the largest batch that fits, up to 65,536; 0 where not even one image fits. */
  readonly largestBatch: number
  /** Images computed at a time with micro-batch `auto`: the batch where it fits; 0 where not one image fits. */
  readonly microBatch: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

/** The training whose memory is computed. */
interface MemoryOptions {
  readonly batch: number
  /** Images computed at once; undefined: the whole batch. */
  readonly microBatch: number | 'auto' | undefined
  /** Memory limit of the network in bytes; undefined: none. */
  readonly memoryLimit: number | undefined
  /** Initialisation of the weights; undefined for trained weights. */
  readonly initialisation: Initialisation | undefined
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`

/** Steps of the training. */
export interface StepReport {
  /** Images of a step. */
  readonly batch: number
  /** Number of epochs. */
  readonly epochs: number
  /** Number of steps of an epoch. */
  readonly perEpoch: number
  /** Number of steps in all epochs. */
  readonly inAll: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

interface StepOptions {
  readonly batch: number
  /** Whether the images of an epoch that are no whole batch are left out. */
  readonly dropLast: boolean
  readonly epochs: number
  /** Initialisation of the weights; undefined for trained weights. */
  readonly initialisation: Initialisation | undefined
}

/** Counts the steps. @param images number of training images */
export function stepsOf({ batch, dropLast, epochs, initialisation }: StepOptions, images: number): StepReport {
  const perEpoch = Math.ceil(epochImages(images, batch, dropLast) / batch)
  const inAll = perEpoch * epochs
  const report = { batch, epochs, perEpoch, inAll }
  if (initialisation === undefined || inAll >= leastSteps) return { ...report, findings: [] }
  const needed = `random weights usually learn nothing in fewer than ${leastSteps}`
  const cure = `use --epochs ${Math.ceil(leastSteps / perEpoch)} or more, or leave out --epochs and --batch`
  const text = `${countedText(inAll, 'step', 'steps')} in all, ${perEpoch} an epoch: ${needed}; ${cure}`
  return { ...report, findings: [{ severity: 'warning', text }] }
}

/** Computes the memory that training needs, and the largest batch that fits. */
export function memoryFor(
  net: VGG,
  { batch, microBatch: asked, memoryLimit, initialisation }: MemoryOptions,
): MemoryReport {
  const { largestBatch: mostAtOnce } = planFor(net, 1)
  const bytes = planFor(net, Math.min(batch, mostAtOnce)).totalBytes
  const needs = { ...networkNeeds(net, net.imageSize), training: true, ...(memoryLimit && { memoryLimit }) }
  const { batch: largestBatch, available, bytes: least } = fittingBatch(needs)
  const figures = { batch, bytes, available, largestBatch }
  if (largestBatch === 0) {
    // the network of trained weights cannot be changed
    const smaller = initialisation === undefined ? 'model' : '--width, --head-width or --image-size'
    const text = `training on one image needs ${gibibytes(least)}, but ${gibibytes(available)} are available: use a smaller ${smaller}`
    return { ...figures, microBatch: 0, findings: [{ severity: 'fatal', code: 'OUT_OF_MEMORY', text }] }
  }
  const microBatch = partOf(batch, largestBatch)
  const atOnce = asked === 'auto' ? microBatch : Math.min(asked ?? batch, batch)
  if (atOnce <= largestBatch) return { ...figures, microBatch, findings: [] }
  const into = atOnce > mostAtOnce ? `the largest tensors of ${net.device}` : gibibytes(available)
  const text = `${atOnce} images at a time do not fit into ${into}, but ${largestBatch} do: use --micro-batch ${microBatch}`
  return { ...figures, microBatch, findings: [{ severity: 'fatal', code: 'OUT_OF_MEMORY', text }] }
}

function planFor({ layers, device, precision, deterministic, run, channels, imageSize }: VGG, batch: number) {
  const shape = [batch, channels, ...imageSize]
  const where = { device: device as 'cpu' | 'cuda', precision, deterministic, exact: run.exact }
  return describe({ layers, shape, training: true, ...where })
}

/** Duration of the training, estimated from three steps. */
export interface SpeedReport {
  /** Number of images in each measured step. */
  readonly images: number
  /** Number of measured steps. */
  readonly steps: number
  /** Training speed in images per second, reading included. */
  readonly imagesPerSecond: number
  /** Evaluation speed in images per second, reading included. */
  readonly evaluationImagesPerSecond: number
  /** Seconds per epoch, training and evaluation. */
  readonly secondsPerEpoch: number
  /** Number of epochs of the training. */
  readonly epochs: number
  /** Seconds for all epochs. */
  readonly secondsInAll: number
}

/** The training whose speed is measured. */
export interface SpeedOptions {
  readonly training: Dataset
  readonly validation: Dataset | undefined
  /** Images computed at a time: the size of a measured step, unless that takes too long. */
  readonly atOnce: number
  readonly epochs: number
  readonly seed: number
  readonly signal: AbortSignal | undefined
}

const measuredSteps = 3
const probeImages = 8
/** Most seconds for one step. */
const longestStep = 5

/** A rate so small that the measured steps leave the weights as they are. */
const { momentum, weightDecay } = trainChecks
const update = { learningRate: 1e-12, momentum: momentum.fallback, weightDecay: weightDecay.fallback }

const secondsSince = (start: number): number => (performance.now() - start) / 1000

/**
 * Measures three training steps after a warm-up step, with batches read ahead as in training.
 * @returns undefined where a step is not finite or an image cannot be read
 */
export async function speedOf(net: VGG, options: SpeedOptions): Promise<SpeedReport | undefined> {
  const { training, validation, epochs } = options
  try {
    const images = await imagesAStep(net, options)
    const measured = images === 0 ? undefined : await measure(net, images, options)
    if (measured === undefined) return undefined
    const { imagesPerSecond, evaluationImagesPerSecond } = measured
    const secondsPerEpoch = training.count / imagesPerSecond + (validation?.count ?? 0) / evaluationImagesPerSecond
    const secondsInAll = epochs * secondsPerEpoch
    return {
      images,
      steps: measuredSteps,
      imagesPerSecond,
      evaluationImagesPerSecond,
      secondsPerEpoch,
      epochs,
      secondsInAll,
    }
  } catch (error) {
    // other parts of the check report these
    const known = ['NOT_FINITE', 'FILE_FORMAT', 'FILE_NOT_FOUND']
    if (error instanceof VggError && known.includes(error.code)) return undefined
    throw error
  }
}

/** Number of images for a step: as in training, or fewer to stay within `longestStep`; 0 where none can be read. */
async function imagesAStep(net: VGG, { training, atOnce, seed }: SpeedOptions): Promise<number> {
  // the warm-up and three steps must fit into the first epoch
  const most = Math.min(atOnce, Math.max(1, Math.floor(training.count / (1 + measuredSteps))))
  const batch = await new Loader(training, { batch: Math.min(most, probeImages), seed, ahead: 0 }).next()
  if (batch.labels.length === 0 || most <= probeImages) return batch.labels.length && most
  await step(net, batch)
  const start = performance.now()
  await step(net, batch)
  const within = Math.floor((batch.labels.length * longestStep) / secondsSince(start))
  return Math.min(most, Math.max(probeImages, within))
}

async function step(net: VGG, { images, labels, augment }: Batch): Promise<void> {
  if (labels.length > 0) await net.step(images, labels, { ...update, ...(augment && { augment }) })
}

async function measure(net: VGG, atOnce: number, { training, seed, signal }: SpeedOptions) {
  const loader = new Loader(training, { batch: atOnce, seed })
  const first = await loader.next()
  if (first.labels.length === 0) return undefined
  await step(net, first)
  const start = performance.now()
  let images = 0
  let under = Promise.resolve()
  try {
    for (let index = 0; index < measuredSteps; index++) {
      throwIfAborted(signal, 'The check')
      const batch = await loader.next()
      images += batch.labels.length
      await under
      under = step(net, batch)
      // awaited one step later; until then its rejection must not count as unhandled
      under.catch(() => undefined)
    }
  } finally {
    await Promise.allSettled([under])
  }
  await under
  const imagesPerSecond = Math.max(1, images) / secondsSince(start)
  await net.forward(first.images)
  const evaluation = performance.now()
  await net.forward(first.images)
  return { imagesPerSecond, evaluationImagesPerSecond: first.labels.length / secondsSince(evaluation) }
}
