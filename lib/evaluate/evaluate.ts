import type { ImageBatch, SkippedImage } from '../data/batch.js'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import { batchesOf } from '../data/loader.js'
import type { Part } from '../data/part.js'
import { throwIfAborted, VggError } from '../error.js'
import type { Group } from '../group/group.js'
import { checkHead } from '../network/arguments.js'
import { Network } from '../network/network.js'
import { instanceOf, integer, optional, readOptions, withDefault } from '../options.js'
import type { Tensor } from '../tensor.js'
import { type Counted, type Metrics, Tally } from './metrics.js'

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Images per forward pass, from 1. Default 256. It affects memory and speed, not the metrics. */
  batch?: number | undefined
  /** Aborts the evaluation, which then rejects with ABORTED; the network stays usable. */
  signal?: AbortSignal | undefined
}

/** Result of an evaluation. */
export interface Evaluation extends Metrics {
  /** Images that could not be read and are not counted in the metrics; `index` is their index in the data. */
  readonly unreadable: readonly SkippedImage[]
}

const checks = { batch: withDefault(integer(1), 256), signal: optional(instanceOf(AbortSignal)) }

/**
 * Evaluates a network on labelled images of its input size.
 *
 * Each image is scored once, without averaging over crops or scales: the paper's single-scale evaluation on a centre crop.
 *
 * @throws VggError SHAPE_MISMATCH where images or classes do not fit the network, NOT_FINITE, ABORTED, DISPOSED
 */
export async function evaluate(net: Network, data: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
  return evaluateParts(net, [datasetCheck(data, 'data')], options)
}

/** How datasets are evaluated besides `EvaluateOptions`. */
interface Ways {
  /** Computes the logits of images as the datasets give them. Default: those of the network. */
  readonly forward?: Forward
  /** Ranks of which each evaluates some batches, and gets the metrics of all. Default: this process evaluates all. */
  readonly group?: Group | undefined
}

/** Evaluates a network on several datasets of the same classes, concatenated. */
export async function evaluateParts(
  net: Network,
  parts: readonly Dataset[],
  options: EvaluateOptions,
  { forward = (images) => net.forward(images), group }: Ways = {},
): Promise<Evaluation> {
  const { batch, signal } = readOptions(options, 'evaluate options', checks)
  checkHead(instanceOf(Network)(net, 'net'), 'evaluate')
  const classNames = parts[0]?.classNames ?? []
  let tally: Tally | undefined
  const unreadable: SkippedImage[] = []
  // one batch is read and counted while the network computes another
  const inFlight: Promise<Scored>[] = []
  async function countOldest(): Promise<void> {
    const scored = await inFlight.shift()
    if (scored === undefined) return
    tally ??= new Tally(namesFor(classNames, scored.classes))
    tally.add(scored.logits, scored.labels)
  }
  try {
    for await (const next of batchesOfParts(parts, batch, group)) {
      throwIfAborted(signal, 'The evaluation')
      unreadable.push(...next.unreadable)
      if (next.labels.length === 0) continue
      const scored = score(forward, next)
      // awaited by countOldest; until then its rejection must not count as unhandled
      scored.catch(() => undefined)
      inFlight.push(scored)
      if (inFlight.length === 2) await countOldest()
    }
    while (inFlight.length > 0) await countOldest()
  } finally {
    await Promise.allSettled(inFlight)
  }
  if (group !== undefined) {
    const own = tally ?? new Tally(namesFor(classNames, net.classes))
    return evaluationOfRanks(
      await group.gather({ counted: own.counted, unreadable }),
      namesFor(classNames, net.classes),
    )
  }
  // not a copy, which would have the confusion matrix made
  return Object.assign((tally ?? new Tally(classNames)).metrics(), { unreadable })
}

/** Adds up what the ranks of a group have counted. */
function evaluationOfRanks(
  ranks: readonly { readonly counted: Counted; readonly unreadable: readonly SkippedImage[] }[],
  classNames: readonly string[],
): Evaluation {
  const tally = new Tally(classNames)
  for (const { counted } of ranks) tally.addCounted(counted)
  const unreadable = ranks.flatMap((rank) => rank.unreadable).sort((a, b) => a.index - b.index)
  return Object.assign(tally.metrics(), { unreadable })
}

async function* batchesOfParts(
  parts: readonly Dataset[],
  batch: number,
  part: Part | undefined,
): AsyncGenerator<ImageBatch> {
  let before = 0
  for (const data of parts) {
    for await (const { unreadable, ...read } of batchesOf(data, batch, part)) {
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

type Forward = (images: ImageBatch['images']) => Promise<Tensor<'float32'>>

async function score(forward: Forward, batch: ImageBatch): Promise<Scored> {
  const output = await forward(batch.images)
  const [, classes = 0, ...map] = output.shape
  if (map.length > 0) {
    const [, height, width] = batch.images.shape
    const message = `Expected images of the network's size but received ${height}x${width}, which gives a class map of ${map.join('x')}: resize or crop them, or create the network with imageSize: [${height}, ${width}]`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return { logits: (await output.data()) as Float32Array, labels: batch.labels, classes }
}

/** Names for all classes of the network: those of the data, and numbers for the rest. */
function namesFor(classNames: readonly string[], classes: number): string[] {
  if (classNames.length > classes) {
    const found = classNames.length
    const message = `Expected data of at most ${classes} classes for this network but it has ${found}: create the network with classes: ${found}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return Array.from({ length: classes }, (_, index) => classNames[index] ?? String(index))
}
