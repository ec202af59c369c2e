import type { Dataset } from '../data/dataset.js'
import { type Batch, Loader } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import type { ForwardOptions } from '../network/arguments.js'
import type { Tensor } from '../tensor.js'
import { versionsOf } from '../train/feature-data.js'
import type { FeaturePlan } from '../train/feature-plan.js'
import { trainChecks } from '../train/options.js'
import type { VGG } from '../vgg/vgg.js'

/** Duration of the training, estimated from three steps. */
export interface SpeedReport {
  /** Number of images in each measured step. */
  readonly images: number
  /** Number of measured steps. */
  readonly steps: number
  /** Training speed in images per second, reading of images included; from the output of frozen layers, without reading it. */
  readonly imagesPerSecond: number
  /** Evaluation speed in images per second, reading included. */
  readonly evaluationImagesPerSecond: number
  /** Seconds per epoch, training and evaluation. */
  readonly secondsPerEpoch: number
  /** Number of epochs of the training. */
  readonly epochs: number
  /** Seconds in which the output of frozen leading layers is computed once, before the first epoch; 0 where it is not. */
  readonly secondsBefore: number
  /** Seconds for all epochs and what comes before them. */
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
  /** The frozen leading layers whose output is computed once; undefined: each step computes all layers. */
  readonly once: FeaturePlan | undefined
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
  const { training, validation, epochs, once } = options
  try {
    const images = await imagesAStep(net, options)
    const measured = images === 0 ? undefined : await measure(net, images, options)
    if (measured === undefined) return undefined
    const { imagesPerSecond, evaluationImagesPerSecond, secondsAnOutput } = measured
    const heldOut = validation?.count ?? 0
    const secondsPerEpoch = training.count / imagesPerSecond + heldOut / evaluationImagesPerSecond
    const secondsBefore = secondsAnOutput * (training.count * versionsOf({ flips: once?.flips }) + heldOut)
    return {
      images,
      steps: measuredSteps,
      imagesPerSecond,
      evaluationImagesPerSecond,
      secondsPerEpoch,
      epochs,
      secondsBefore,
      secondsInAll: secondsBefore + epochs * secondsPerEpoch,
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

async function measure(net: VGG, atOnce: number, { training, seed, once, signal }: SpeedOptions) {
  // the output of frozen layers is computed shard by shard, each read before it is computed
  if (once !== undefined)
    return measureFrozen(net, once.tensor, new Loader(training, { batch: atOnce, seed, ahead: 0 }), signal)
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
  return { imagesPerSecond, evaluationImagesPerSecond: await evaluationSpeed(net, first.images), secondsAnOutput: 0 }
}

/** Measures steps and an evaluation that start from the output of frozen layers, and how long that takes for an image. */
async function measureFrozen(net: VGG, tensor: string, loader: Loader, signal: AbortSignal | undefined) {
  const outputOf = async (images: Tensor): Promise<Tensor> => (await net.features(images, [tensor]))[tensor] as Tensor
  const first = await loader.next()
  if (first.labels.length === 0) return undefined
  await outputOf(first.images)
  const beginning = performance.now()
  const { images, labels } = await loader.next()
  if (labels.length === 0) return undefined
  const output = await outputOf(images)
  const secondsAnOutput = secondsSince(beginning) / labels.length
  const step = () => net.step(output, labels, { ...update, from: tensor })
  await step()
  const start = performance.now()
  for (let index = 0; index < measuredSteps; index++) {
    throwIfAborted(signal, 'The check')
    await step()
  }
  const imagesPerSecond = (measuredSteps * labels.length) / secondsSince(start)
  const evaluationImagesPerSecond = await evaluationSpeed(net, output, { from: tensor })
  return { imagesPerSecond, evaluationImagesPerSecond, secondsAnOutput }
}

/** Images evaluated per second, after a pass that prepares the network. */
async function evaluationSpeed(net: VGG, images: Tensor, options: ForwardOptions = {}): Promise<number> {
  await net.forward(images, options)
  const start = performance.now()
  await net.forward(images, options)
  return (images.shape[0] ?? 0) / secondsSince(start)
}
