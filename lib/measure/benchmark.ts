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
import { interleaved, mean, type Times } from './interleaved.js'
import { type Case, type Mode, openOurs, type Run } from './ours.js'

export interface BenchmarkOptions {
  /** Configuration of the network. Default 'D', VGG-16. */
  variant?: string
  /** Images per step. Default 8 on the CPU, 64 on a GPU. */
  batch?: number
  /** Side of the images in pixels, from 32. Default 224. */
  imageSize?: number
  /** Multiplier of the convolutions' channels. Default 1. */
  width?: number
  /** Outputs of fc6 and fc7. Default 4096. */
  headWidth?: number
  /** Threads on the CPU, 1 to 1024. Default: one for each processor. */
  threads?: number
  /** Precision of the computation. Default: the device's default. */
  precision?: Precision
  /** Seconds of measuring, for training and inference each, above 0 and up to 3600. Default 8. A round is at least one run. */
  seconds?: number
  /** Aborts the benchmark with ABORTED. */
  signal?: AbortSignal
  /** Called before each round with the mode, the rounds done and the number of rounds. */
  onProgress?: (mode: Mode, done: number, of: number) => void
}

/** Times of one mode on one device. */
export interface Measured extends Times {
  /** Images per second of the median round. */
  readonly imagesPerSecond: number
  /** Seconds until the first result: memory is allocated, algorithms are chosen. */
  readonly readySeconds: number
}

/** The result of a benchmark of one device. */
export interface BenchmarkReport {
  /** Name of the device, such as 'cpu' or 'cuda:0'. */
  readonly device: string
  readonly precision: Precision
  readonly threads: number
  readonly variant: string
  readonly imageSize: number
  readonly batch: number
  readonly training: Measured
  readonly inference: Measured
  /** Background load: the share of the machine that other programs took meanwhile, 0 to 1. */
  readonly backgroundLoad: number
}

/** Rounds of each mode. A machine that takes more than twice the given time ends after the fewest. */
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
 * Times training steps and forward passes of one network on one device. Images are in this process's memory, and two calls are
 * in progress at a time, as in training. Takes under a minute for VGG-16 on two cores.
 * @throws ABORTED, INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE_UNAVAILABLE, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export async function benchmark(device: Device, options: BenchmarkOptions = {}): Promise<BenchmarkReport> {
  const read = readOptions(options, 'benchmark options', checks)
  const { variant, imageSize, width, headWidth, threads, precision, seconds, signal, onProgress } = read
  const batch = read.batch ?? (device === 'cpu' ? 8 : 64)
  const run: Run = { device, ...(threads !== undefined && { threads }), ...(precision !== undefined && { precision }) }
  const loads: number[] = []
  async function measured(mode: Mode) {
    const benchCase: Case = { variant, imageSize, batch, mode, width, headWidth, classes: 1000 }
    throwIfAborted(signal, 'The benchmark')
    onProgress(mode, 0, rounds)
    const ours = await openOurs(benchCase, run)
    try {
      const start = performance.now()
      const wanted = (round: number) => {
        if (round >= fewestRounds && performance.now() - start > 2000 * seconds) return false
        throwIfAborted(signal, 'The benchmark')
        onProgress(mode, round, rounds)
        return true
      }
      const { times, backgroundLoads } = await interleaved([ours], {
        rounds,
        milliseconds: (1000 * seconds) / rounds,
        wanted,
      })
      loads.push(...backgroundLoads)
      const { net, readySeconds } = ours
      const figures: Measured = { ...times[0], imagesPerSecond: (1000 * batch) / times[0].medianMs, readySeconds }
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
    backgroundLoad: mean(loads),
  }
}
