import type { ImageBatch, SkippedImage } from '../data/batch.js'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import { batchesOf } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import { type Metrics, Tally } from '../evaluate/metrics.js'
import { Network } from '../network/network.js'
import { instanceOf, integer, optional, readOptions, withDefault } from '../options.js'
import { valuesOf } from '../tensor.js'

/** An image that the network took for something else. */
export interface Mistake {
  /** Of the image in the data. */
  readonly index: number
  readonly truth: number
  readonly answer: number
  /** What the network gave its answer, and the truth: 0 to 1, of the soft-max. */
  readonly probability: number
  readonly truthProbability: number
  /** uint8, height x width x channels, as the network saw it. */
  readonly pixels: Uint8Array
}

/** How a network fared, and where it was most sure of what is wrong. */
export interface Classified {
  readonly metrics: Metrics
  /** The most confident first. */
  readonly mistakes: readonly Mistake[]
  readonly unreadable: readonly SkippedImage[]
}

/** How to go through the images. */
export interface ClassifyOptions {
  /** Images per forward pass, from 1. Default 64. */
  batch?: number
  /** Mistakes to be kept, with their pixels. Default 24. */
  mistakes?: number
  signal?: AbortSignal
}

export const classifyChecks = {
  batch: withDefault(integer(1), 64),
  mistakes: withDefault(integer(0), 24),
  signal: optional(instanceOf(AbortSignal)),
}

/**
 * One pass over labelled images, as `evaluate` makes it (a single centre crop), that keeps the most confident mistakes:
 * the images with the highest probability of an answer that is wrong. Holds one batch and the images it keeps.
 *
 * @throws VggError SHAPE_MISMATCH, NOT_FINITE, ABORTED, DISPOSED
 */
export async function judge(net: Network, data: Dataset, options: ClassifyOptions = {}): Promise<Classified> {
  const { batch, mistakes: kept, signal } = readOptions(options, 'judge options', classifyChecks)
  const { classes } = instanceOf(Network)(net, 'net')
  const tally = new Tally(classNamesOf(net, datasetCheck(data, 'data')))
  const unreadable: SkippedImage[] = []
  let mistakes: Mistake[] = []
  for await (const images of batchesOf(data, batch)) {
    throwIfAborted(signal, 'The report')
    unreadable.push(...images.unreadable)
    if (images.labels.length === 0) continue
    const output = await net.forward(images.images)
    if (output.shape.length !== 2) {
      const message = `Expected images of the network's own size but they are ${data.height}x${data.width}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    const logits = valuesOf(output)
    tally.add(logits, images.labels)
    const found = mistakesOf(logits, classes, images)
    // the sort is stable: of equals the first in the data comes first, whatever the batch
    mistakes = [...mistakes, ...found].sort((a, b) => b.probability - a.probability).slice(0, kept)
    mistakes = mistakes.map((mistake) => withOwnMemory(mistake, images))
  }
  return { metrics: tally.metrics(), mistakes, unreadable }
}

/** One name for each answer: the data's, where they have some, else the model's, else numbers. */
function classNamesOf(net: Network, data: Dataset): string[] {
  if (data.classNames.length > net.classes) {
    const message = `Expected data of at most ${net.classes} classes for this network but it has ${data.classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return Array.from(
    { length: net.classes },
    (_, index) => data.classNames[index] ?? net.classNames[index] ?? `${index}`,
  )
}

function mistakesOf(logits: Float32Array, classes: number, { images, labels, indices }: ImageBatch): Mistake[] {
  const pixels = valuesOf(images)
  const bytes = pixels.length / labels.length
  return Array.from(labels).flatMap((truth, row) => {
    const scores = logits.subarray(row * classes, (row + 1) * classes)
    const answer = scores.indexOf(largestOf(scores))
    if (answer === truth) return []
    const probabilities = softmax(scores)
    const found = { probability: probabilities[answer] ?? 0, truthProbability: probabilities[truth] ?? 0 }
    const own = pixels.subarray(row * bytes, (row + 1) * bytes)
    return [{ index: indices[row] ?? -1, truth, answer, ...found, pixels: own }]
  })
}

const largestOf = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)

/** In float64, whatever the network's precision. */
function softmax(logits: Float32Array): number[] {
  const largest = largestOf(logits)
  const powers = Array.from(logits, (value) => Math.exp(value - largest))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/** A view would hold the whole batch in memory. */
function withOwnMemory(mistake: Mistake, { images }: ImageBatch): Mistake {
  const shared = mistake.pixels.buffer === valuesOf(images).buffer
  return shared ? { ...mistake, pixels: mistake.pixels.slice() } : mistake
}
