import { throwIfAborted } from '../error.js'
import type { Device } from '../network/open.js'
import {
  type Check,
  callback,
  instanceOf,
  integer,
  oneOf,
  optional,
  positive,
  readOptions,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { native } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import type { Case, Mode } from './case.js'
import { type Times, timesOf } from './interleaved.js'
import { openOurs, type Run } from './ours.js'
import { LoadWatch, mean } from './processes.js'

export interface BenchmarkOptions {
  /** Default 'D', VGG-16. */
  variant?: string
  /** Images a step. Default 8 on a processor, 64 on a card. */
  batch?: number
  /** Side of the images in pixels, from 32. Default 224. */
  imageSize?: number
  /** Multiplier of the convolutions' channels. Default 1. */
  width?: number
  /** Outputs of fc6 and fc7. Default 4096. */
  headWidth?: number
  /** Of a processor. Default all. */
  threads?: number
  /** Default the device's own choice. */
  precision?: Precision
  /** Of measuring, for training and inference each, above 0. Default 8; each round is at least one run. */
  seconds?: number
  /** Ends the benchmark with ABORTED. */
  signal?: AbortSignal
  /** Before each round: what is measured, rounds done and to do. */
  onProgress?: (mode: Mode, done: number, of: number) => void
}

/** What one device does of one case. */
export interface Measured extends Times {
  /** Of the median round. */
  readonly imagesPerSecond: number
  /** Until the first result: memory is taken, plans are chosen. */
  readonly readySeconds: number
}

/** What a benchmark of a device has found. */
export interface BenchmarkReport {
  /** 'cpu', 'cuda:0'. */
  readonly device: string
  readonly precision: Precision
  readonly threads: number
  readonly variant: string
  readonly imageSize: number
  readonly batch: number
  readonly training: Measured
  readonly inference: Measured
  /** The share of the machine that other programs took meanwhile, 0 to 1. */
  readonly backgroundLoad: number
}

/** Rounds of each mode; the median of them counts. A machine that needs twice its time for them has three. */
const rounds = 5
const fewestRounds = 3

const duration: Check<number> = (value, name) => {
  if (typeof value === 'number' && value > 0 && value <= 3600) return value
  throw unexpected('seconds above 0, up to 3600', name, value)
}

const checks = {
  variant: withDefault(text, 'D'),
  batch: optional(integer(1, 65_536)),
  imageSize: withDefault(integer(32), 224),
  width: withDefault(positive, 1),
  headWidth: withDefault(integer(1), 4096),
  threads: optional(integer(1, 1024)),
  precision: optional(oneOf('bf16', 'tf32', 'float32')),
  seconds: withDefault(duration, 8),
  signal: optional(instanceOf(AbortSignal)),
  onProgress: withDefault(callback<NonNullable<BenchmarkOptions['onProgress']>>(), () => undefined),
}

/**
 * Times training steps and forward passes of one network on one device: images lie in this process, and two calls are under
 * way at a time, as in a training. Under a minute for VGG-16 on two cores.
 * @throws ABORTED, INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE_UNAVAILABLE, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export async function benchmark(device: Device, options: BenchmarkOptions = {}): Promise<BenchmarkReport> {
  const read = readOptions(options, 'benchmark options', checks)
  const { variant, imageSize, width, headWidth, threads, precision, seconds, signal, onProgress } = read
  const batch = read.batch ?? (device === 'cpu' ? 8 : 64)
  const run: Run = { device, ...(threads !== undefined && { threads }), ...(precision !== undefined && { precision }) }
  const shares: number[] = []
  async function measured(mode: Mode) {
    const one: Case = { variant, imageSize, batch, mode, width, headWidth, classes: 1000 }
    throwIfAborted(signal, 'The benchmark')
    onProgress(mode, 0, rounds)
    const ours = await openOurs(one, run)
    try {
      const watch = new LoadWatch()
      const contender = watch.watched(ours)
      const times: number[] = []
      const start = performance.now()
      const isLate = () => performance.now() - start > 2000 * seconds
      for (let round = 0; round < (isLate() ? fewestRounds : rounds); round++) {
        throwIfAborted(signal, 'The benchmark')
        onProgress(mode, round, rounds)
        times.push(await contender.round((1000 * seconds) / rounds))
      }
      shares.push(...watch.shares)
      const found = timesOf(times)
      const { net, readySeconds } = ours
      const figures: Measured = { ...found, imagesPerSecond: (1000 * batch) / found.medianMs, readySeconds }
      return { device: net.device, precision: net.precision, figures }
    } finally {
      ours.net.dispose()
    }
  }
  const inference = await measured('inference')
  const training = await measured('training')
  return {
    device: training.device,
    precision: training.precision,
    threads: threads ?? native().buildInfo().threads,
    variant,
    imageSize,
    batch,
    training: training.figures,
    inference: inference.figures,
    backgroundLoad: mean(shares),
  }
}
