import { describe } from '../network/describe.js'
import { fittingBatch, networkNeeds, partOf } from '../network/fitting-batch.js'
import type { VGG } from '../vgg/vgg.js'
import type { Finding } from './verdict.js'

/** What training takes of the device's memory, by the planner. */
export interface MemoryReport {
  /** Images of a step, as asked for. */
  readonly batch: number
  /** For training with the whole batch at once, everything counted. */
  readonly bytes: number
  /** What there is, a margin left free, or the limit that was set. */
  readonly available: number
  /** Images of the largest batch that fits, up to 65,536; 0 where not even one does. */
  readonly largestBatch: number
  /** Images computed at a time with the micro-batch `auto`: the batch itself where it fits; 0 where nothing does. */
  readonly microBatch: number
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`

/**
 * @param asked the micro-batch that training is told to take; undefined: the whole batch
 * @param memoryLimit of the network, in bytes; undefined: none
 */
export function memoryFor(
  net: VGG,
  batch: number,
  asked: number | 'auto' | undefined,
  memoryLimit: number | undefined,
): MemoryReport {
  const bytes = bytesFor(net, batch)
  const needs = { ...networkNeeds(net, net.imageSize), training: true, ...(memoryLimit && { memoryLimit }) }
  const { batch: largestBatch, available, bytes: least } = fittingBatch(needs)
  const figures = { batch, bytes, available, largestBatch }
  if (largestBatch === 0) {
    const text = `training on one image takes ${gibibytes(least)}, and there is room for ${gibibytes(available)}: use a smaller --width, --head-width or --image-size`
    return { ...figures, microBatch: 0, findings: [{ severity: 'fatal', text }] }
  }
  const microBatch = partOf(batch, largestBatch)
  const atOnce = asked === 'auto' ? microBatch : Math.min(asked ?? batch, batch)
  if (atOnce <= largestBatch) return { ...figures, microBatch, findings: [] }
  const text = `${atOnce} images at a time do not fit into ${gibibytes(available)}, ${largestBatch} do: use --micro-batch ${microBatch}`
  return { ...figures, microBatch, findings: [{ severity: 'fatal', text }] }
}

function bytesFor({ layers, device, precision, deterministic, run, channels, imageSize }: VGG, batch: number): number {
  const shape = [batch, channels, ...imageSize]
  const where = { device: device as 'cpu' | 'cuda', precision, deterministic, exact: run.exact }
  return describe({ layers, shape, training: true, ...where }).totalBytes
}
