import type { Dataset } from '../data/dataset.js'
import { type Batch, Loader } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import { trainChecks } from '../train/options.js'
import type { VGG } from '../vgg/vgg.js'

/** How long training will take, from three steps. */
export interface SpeedReport {
  /** Images in each of the steps measured. */
  readonly images: number
  /** Steps measured. */
  readonly steps: number
  /** Reading included. */
  readonly imagesPerSecond: number
  /** Of a forward pass, reading included. */
  readonly evaluationImagesPerSecond: number
  /** Training and evaluation. */
  readonly secondsPerEpoch: number
  /** Of the whole training. */
  readonly epochs: number
  /** For all epochs. */
  readonly secondsInAll: number
}

/** What is measured and what it stands for. */
export interface SpeedOptions {
  readonly training: Dataset
  readonly validation: Dataset | undefined
  /** Images computed at a time: a step of as many is measured, unless it takes too long. */
  readonly atOnce: number
  readonly epochs: number
  readonly seed: number
  readonly signal: AbortSignal | undefined
}

const measuredSteps = 3
const probeImages = 8
/** For one step, on a slow machine. */
const longestStep = 5

/** Next to nothing changes: three steps as they will be are not to make another net of this one. */
const { momentum, weightDecay } = trainChecks
const update = { learningRate: 1e-12, momentum: momentum.fallback, weightDecay: weightDecay.fallback }

const secondsSince = (start: number): number => (performance.now() - start) / 1000

/**
 * Three steps of training, after one that is not counted, with reading as training does it: batches ahead of the net.
 * @returns undefined where a step is not finite, or an image cannot be read
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
    const told = ['NOT_FINITE', 'FILE_FORMAT', 'FILE_NOT_FOUND'] // by the other parts of the check
    if (error instanceof VggError && told.includes(error.code)) return undefined
    throw error
  }
}

/** As many as training computes at a time, or as a step of a few seconds has; 0 where none can be read. */
async function imagesAStep(net: VGG, { training, atOnce, seed }: SpeedOptions): Promise<number> {
  // four batches of one size, all of the first epoch
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
      // its error is reported when its turn comes; until then it must not count as unhandled
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
