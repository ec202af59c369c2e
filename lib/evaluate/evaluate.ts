import type { ImageBatch, SkippedImage } from '../data/batch.js'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import { batchesOf } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import { Network } from '../network/network.js'
import { instanceOf, integer, optional, readOptions, withDefault } from '../options.js'
import { type Metrics, Tally } from './metrics.js'

/** How to go through the images. */
export interface EvaluateOptions {
  /** Images per forward pass, from 1. Default 256. Changes memory and speed, not the figures. */
  batch?: number
  /** Ends the evaluation: it rejects with ABORTED, and the network stays usable. */
  signal?: AbortSignal
}

/** What an evaluation found. `count` is of the images judged. */
export interface Evaluation extends Metrics {
  /** Images that could not be read, and are in none of the figures; `index` is their number in the data. */
  readonly unreadable: readonly SkippedImage[]
}

const checks = { batch: withDefault(integer(1), 256), signal: optional(instanceOf(AbortSignal)) }

/**
 * Runs a network over labelled images of its own size and says how often it is right.
 *
 * One score vector per image, no averaging over crops or scales: in the paper's terms a single central crop.
 *
 * @throws VggError SHAPE_MISMATCH where images or classes do not fit the network, NOT_FINITE, ABORTED, DISPOSED
 */
export async function evaluate(net: Network, data: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
  return evaluateParts(net, [datasetCheck(data, 'data')], options)
}

/** As `evaluate`, on several datasets of the same classes as if they were one, one after another. */
export async function evaluateParts(
  net: Network,
  parts: readonly Dataset[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { batch, signal } = readOptions(options, 'evaluate options', checks)
  instanceOf(Network)(net, 'net')
  const classNames = parts[0]?.classNames ?? []
  let tally: Tally | undefined
  const unreadable: SkippedImage[] = []
  // One batch is read and counted while the network computes the other.
  const inFlight: Promise<Scored>[] = []
  async function countOldest(): Promise<void> {
    const scored = await inFlight.shift()
    if (scored === undefined) return
    tally ??= new Tally(namesFor(classNames, scored.classes))
    tally.add(scored.logits, scored.labels)
  }
  try {
    for await (const next of batchesOfParts(parts, batch)) {
      throwIfAborted(signal, 'The evaluation')
      unreadable.push(...next.unreadable)
      if (next.labels.length === 0) continue
      const scored = score(net, next)
      // Its error is reported when its turn comes; until then it must not count as unhandled.
      scored.catch(() => undefined)
      inFlight.push(scored)
      if (inFlight.length === 2) await countOldest()
    }
    while (inFlight.length > 0) await countOldest()
  } finally {
    await Promise.allSettled(inFlight)
  }
  return { ...(tally ?? new Tally(classNames)).metrics(), unreadable }
}

async function* batchesOfParts(parts: readonly Dataset[], batch: number): AsyncGenerator<ImageBatch> {
  let before = 0
  for (const data of parts) {
    for await (const { unreadable, ...read } of batchesOf(data, batch)) {
      yield { ...read, unreadable: unreadable.map((one) => ({ ...one, index: before + one.index })) }
    }
    before += data.count
  }
}

interface Scored {
  logits: Float32Array
  labels: Int32Array
  classes: number
}

async function score(net: Network, batch: ImageBatch): Promise<Scored> {
  const output = await net.forward(batch.images)
  const [, classes = 0, ...map] = output.shape
  if (map.length > 0) {
    const message = `Expected images of the network's own size but they give a class map of ${map.join('x')}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return { logits: (await output.data()) as Float32Array, labels: batch.labels, classes }
}

/** The data may know fewer classes than the network answers with; the rest is called by number. */
function namesFor(classNames: readonly string[], classes: number): string[] {
  if (classNames.length > classes) {
    const message = `Expected data of at most ${classes} classes for this network but it has ${classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return Array.from({ length: classes }, (_, index) => classNames[index] ?? String(index))
}
