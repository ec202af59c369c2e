import { VggError } from '../error.js'
import { endsOf, parameterCount } from '../layer.js'
import { integer, unexpected } from '../options.js'
import { availableBytes } from './available-memory.js'
import { type DescribeOptions, describe } from './describe.js'
import type { Network } from './network.js'

/** What is to fit, and into what. */
export interface FittingOptions extends Omit<DescribeOptions, 'shape'> {
  /** Of the images. */
  imageSize: readonly [height: number, width: number]
  /** The network's own limit of memory in bytes; default: none. */
  memoryLimit?: number
  /** Bytes that the network holds already: they are its to use. Default 0. */
  held?: number
  /** Bytes that the device has to give; default: what is available now, a margin left free. */
  available?: number
}

/** What is asked of memory by a network that is there: it holds its parameters already. */
export const networkNeeds = (net: Network, imageSize: readonly [height: number, width: number]): FittingOptions => ({
  layers: net.layers,
  imageSize,
  device: net.device as `cuda:${number}` | 'cpu',
  precision: net.precision,
  deterministic: net.deterministic,
  exact: net.run.exact,
  held: 4 * parameterCount(net.layers),
})

/** How many images fit at once, and what was reckoned with. */
export interface Fitting {
  /** Images; 0 where not even one fits. */
  readonly batch: number
  /** What they take, in all, as `describe` tells it; of one image where none fits. */
  readonly bytes: number
  /** What there is. */
  readonly available: number
}

/** More images than any program computes at a time. */
const mostImages = 2 ** 16

function bytesAt({ imageSize, memoryLimit: _, held: __, available: ___, ...rest }: FittingOptions) {
  const { channels } = endsOf(rest.layers)
  return (batch: number): number => describe({ ...rest, shape: [batch, channels, ...imageSize] }).totalBytes
}

/** Bytes that the network may take in all. */
function roomFor({ memoryLimit, held = 0, available, device = 'cpu', ...options }: FittingOptions): number {
  const given = available ?? availableBytes(device === 'auto' ? plannedDevice({ ...options, device }) : device)
  return Math.min(given + held, memoryLimit ?? Number.POSITIVE_INFINITY)
}

const plannedDevice = ({ imageSize, ...options }: FittingOptions): string =>
  describe({ ...options, shape: [1, endsOf(options.layers).channels, ...imageSize] }).device

/**
 * The largest count whose bytes are within the room, 0 where 1 is not; `bytes` grows with the count.
 * Memory is all but linear in it: the count is guessed from two points, and settled by steps that double, then by halves.
 */
export function largestWithin(room: number, most: number, bytes: (count: number) => number): number {
  if (bytes(1) > room) return 0
  const whole = bytes(most)
  if (whole <= room) return most
  let [fits, tooMany] = [1, most]
  const each = (whole - bytes(1)) / (most - 1)
  let probe = 1 + Math.floor((room - bytes(1)) / each)
  for (let step = 1; tooMany - fits > 1; step *= 2) {
    const inside = Math.min(Math.max(probe, fits + 1), tooMany - 1)
    const good = bytes(inside) <= room
    if (good) fits = inside
    else tooMany = inside
    // once both ends are near, the middle is the shortest way
    probe = tooMany - fits <= 2 * step ? Math.floor((fits + tooMany) / 2) : inside + (good ? step : -step)
  }
  return fits
}

/**
 * The largest batch whose training or evaluation fits into the memory that is available now. Computed by the planner:
 * nothing is allocated. Where layers are frozen it may take less than this says.
 * @param most the largest batch of interest, from 1; default 65536
 * @throws what `describe` throws
 */
export function fittingBatch(options: FittingOptions, most: number = mostImages): Fitting {
  integer(1, mostImages)(most, 'most')
  const available = roomFor(options)
  const bytes = bytesAt(options)
  const batch = largestWithin(available, most, bytes)
  return { batch, bytes: bytes(Math.max(batch, 1)), available }
}

/**
 * Images to be computed at a time, of a batch of which `fitting` fit. Equal parts are preferred, for one plan serves
 * them all: the largest divisor of the batch that fits, unless that makes more than twice the parts that are needed;
 * then parts as equal as can be, the last one smaller.
 */
export function partOf(batch: number, fitting: number): number {
  if (fitting < 1) throw unexpected('at least 1 image that fits', 'fitting', fitting)
  if (fitting >= batch) return batch
  const fewest = Math.ceil(batch / fitting)
  for (let parts = fewest; parts <= 2 * fewest; parts++) if (batch % parts === 0) return batch / parts
  return Math.ceil(batch / fewest)
}

/**
 * The micro-batch for training with this batch in the memory that is available: the batch itself where it fits.
 * @param batch images of one step, from 1 to 65536
 * @throws OUT_OF_MEMORY where not even one image fits
 */
export function microBatchFor(batch: number, options: FittingOptions): number {
  const { batch: fitting, bytes, available } = fittingBatch({ training: true, ...options }, batch)
  if (fitting > 0) return partOf(batch, fitting)
  const message = `Training on one image takes ${bytes} bytes, but there is room for ${available}: not even a batch of 1 fits`
  throw new VggError('OUT_OF_MEMORY', message)
}
