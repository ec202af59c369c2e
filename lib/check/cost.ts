import { epochImages } from '../data/loader.js'
import { describe } from '../network/describe.js'
import { fittingBatch, networkNeeds, partOf } from '../network/fitting-batch.js'
import type { Initialisation } from '../network/open.js'
import { countedText } from '../table.js'
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
