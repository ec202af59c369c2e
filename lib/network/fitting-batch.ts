import { VggError } from '../error.js'
import { endsOf, parameterCount } from '../layer.js'
import { availableMainMemory } from '../main-memory.js'
import { integer, unexpected } from '../options.js'
import { native } from '../platform/native.js'
import { type DescribeOptions, describe } from './describe.js'
import type { Network } from './network.js'
import { prepareDevice } from './open.js'

/** Options of `fittingBatch`: the network, and the memory available to it. */
export interface FittingOptions extends Omit<DescribeOptions, 'shape'> {
  /** Height and width of the images in pixels. */
  imageSize: readonly [height: number, width: number]
  /** Limit in bytes of the network's memory. Default: none. */
  memoryLimit?: number | undefined
  /** Bytes that the network already holds, which are available to it. Default 0. */
  held?: number | undefined
  /** Bytes that the device has available. Default: those available now, less a margin. */
  available?: number | undefined
}

/** Options for an existing network, which already holds its parameters. */
export const networkNeeds = (net: Network, imageSize: readonly [height: number, width: number]): FittingOptions => ({
  layers: net.layers,
  imageSize,
  device: net.device as `cuda:${number}` | 'cpu',
  precision: net.precision,
  deterministic: net.deterministic,
  exact: net.run.exact,
  held: 4 * parameterCount(net.layers),
})

/** Result of `fittingBatch`. */
export interface Fitting {
  /** Number of images that fit; 0 if not even one fits. */
  readonly batch: number
  /** Total bytes for these images according to `describe`; for one image if none fits. */
  readonly bytes: number
  /** Bytes available. */
  readonly available: number
}

/** More images than a program computes at a time. */
const mostImages = 2 ** 16

function planOf({ imageSize, memoryLimit: _, held: __, available: ___, ...rest }: FittingOptions, batch: number) {
  return describe({ ...rest, shape: [batch, endsOf(rest.layers).channels, ...imageSize] })
}

/** Total bytes that the network may use. */
function roomFor({ memoryLimit, held = 0, available, device = 'cpu', ...options }: FittingOptions): number {
  const given = available ?? availableBytes(device === 'auto' ? planOf({ ...options, device }, 1).device : device)
  return Math.min(given + held, memoryLimit ?? Number.POSITIVE_INFINITY)
}

/**
 * The largest count whose bytes do not exceed `room`; 0 if those of 1 do. `bytes` increases with the count, almost
 * linearly: the first guess is interpolated, then follows a search by doubling steps and bisection.
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
    // near the end, bisection is faster
    probe = tooMany - fits <= 2 * step ? Math.floor((fits + tooMany) / 2) : inside + (good ? step : -step)
  }
  return fits
}

/**
 * Computes the largest batch whose training or evaluation fits into the memory that is available now, and into the tensors of
 * the device (`largestBatch` of `describe`), by the planner, without allocating it. Frozen layers may reduce the memory further.
 * @param most upper limit of the batch, from 1. Default 65536
 * @throws the errors of `describe`
 */
export function fittingBatch(options: FittingOptions, most: number = mostImages): Fitting {
  integer(1, mostImages)(most, 'most')
  const available = roomFor(options)
  const bytes = (batch: number): number => planOf(options, batch).totalBytes
  const batch = largestWithin(available, Math.min(most, planOf(options, 1).largestBatch), bytes)
  return { batch, bytes: bytes(Math.max(batch, 1)), available }
}

/**
 * The micro-batch for a batch of which `fitting` images fit. Equal parts are preferred, because they share one plan: the
 * largest divisor of the batch that fits, unless that makes more than twice the necessary parts; then parts that are as
 * equal as possible, the last one smaller.
 */
export function partOf(batch: number, fitting: number): number {
  if (fitting < 1) throw unexpected('at least 1 image that fits', 'fitting', fitting)
  if (fitting >= batch) return batch
  const fewest = Math.ceil(batch / fitting)
  for (let parts = fewest; parts <= 2 * fewest; parts++) if (batch % parts === 0) return batch / parts
  return Math.ceil(batch / fewest)
}

/**
 * The micro-batch for training with this batch in the available memory: the batch itself if it fits.
 * @param batch images of one step, from 1 to 65536
 * @throws OUT_OF_MEMORY if not even one image fits
 */
export function microBatchFor(batch: number, options: FittingOptions): number {
  const { batch: fitting, bytes, available } = fittingBatch({ training: true, ...options }, batch)
  if (fitting > 0) return partOf(batch, fitting)
  const message = `Training on one image takes ${bytes} bytes, but there is room for ${available}: not even a batch of 1 fits`
  throw new VggError('OUT_OF_MEMORY', message)
}

const mebibyte = 2 ** 20

/** Bytes kept free in main memory: for decoded images, prepared weights and the program itself. */
const mainMargin = (bytes: number): number => Math.max(256 * mebibyte, 0.1 * bytes)

/** Bytes kept free on a GPU: the native side's own reserve (native/backend/cuda/device.cpp), and as much again. */
const cardMargin = 512 * mebibyte

/**
 * Bytes that a network on this device can use in addition to those it holds, less a margin. Never below 0.
 * @param device 'cpu', 'cuda' or 'cuda:N'
 */
function availableBytes(device: string): number {
  if (device === 'cpu') {
    const bytes = availableMainMemory()
    return Math.max(0, Math.floor(bytes - mainMargin(bytes)))
  }
  prepareDevice(device)
  const name = device === 'cuda' ? 'cuda:0' : device
  const card = native()
    .cudaReport()
    .cards.find((one) => one.device === name)
  return Math.max(0, (card?.freeBytes ?? 0) - cardMargin)
}
