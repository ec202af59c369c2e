import { rm } from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../error.js'
import { makeFolder, systemCode, writeAtomically, writeError } from '../files/atomic-file.js'
import { Network } from '../network/network.js'
import {
  type Check,
  callback,
  instanceOf,
  integer,
  optional,
  readOptions,
  unexpected,
  withDefault,
} from '../options.js'
import {
  type KeptTuning,
  type TunedMachine,
  tunedMachine,
  tuningFormat,
  tuningInForce,
} from '../platform/kept-tuning.js'
import { type CpuTuning, native } from '../platform/native.js'
import { Tensor } from '../tensor.js'
import { backgroundShare, disturbance, usageOf } from './background-load.js'
import { type Candidate, type Compared, chosen, compared } from './interleaved.js'

/** Input and output of a 3x3 convolution. */
export interface Shape {
  readonly batch: number
  readonly channels: number
  readonly outputs: number
  /** Height and width of the images. */
  readonly side: number
}

/** A block size of the tuning, its candidates besides the default, and the convolutions that it is measured on. */
interface Dial {
  readonly name: keyof CpuTuning
  readonly values: readonly number[]
  /** The pass that is timed. 'backward' is the gradient of the weights. */
  readonly direction: 'forward' | 'backward'
  readonly shapes: readonly Shape[]
}

const kibibyte = 2 ** 10
const mebibyte = 2 ** 20

const square = (channels: number, side: number, batch: number): Shape => ({
  batch,
  channels,
  outputs: channels,
  side,
})

/** The block sizes in the order in which they are measured. Each is measured with the sizes chosen before it. */
const dials: readonly Dial[] = [
  {
    // weights that fit into the cache of each thread
    name: 'ownBlock',
    values: [256 * kibibyte, 512 * kibibyte, mebibyte, 2 * mebibyte],
    direction: 'forward',
    shapes: [square(64, 112, 4), square(128, 56, 8)],
  },
  {
    // weights that are read once for many tiles
    name: 'sharedBlock',
    values: [6 * mebibyte, 12 * mebibyte, 24 * mebibyte, 48 * mebibyte],
    direction: 'forward',
    shapes: [square(512, 28, 8)],
  },
  {
    // sums that all threads share
    name: 'gradientBlock',
    values: [0.5, 1, 2, 4],
    direction: 'backward',
    shapes: [square(256, 28, 8), square(512, 14, 16)],
  },
]

export interface MeasureOptions {
  /** Interleaved rounds of the candidates, 1 to 1000. Default 7. */
  rounds?: number
  /** Background load that is allowed on average, 0 to 100 per cent of the machine. Default 15. */
  backgroundLoad?: number
  /** Aborts the measurement with ABORTED. */
  signal?: AbortSignal
  /** Called before each timing with the size that is measured, the timings done and the number of timings. */
  onProgress?: (name: keyof CpuTuning, done: number, of: number) => void
}

/** The result of measuring one block size. */
export interface MeasuredDial {
  readonly name: keyof CpuTuning
  readonly direction: Dial['direction']
  /** The shapes of the candidates' times, in the same order. */
  readonly shapes: readonly Shape[]
  readonly standard: number
  readonly chosen: number
  readonly candidates: readonly Compared[]
}

/** The result of a measurement. */
export interface Measured {
  readonly machine: TunedMachine
  readonly rounds: number
  /** The fastest block sizes found. */
  readonly tuning: CpuTuning
  readonly dials: readonly MeasuredDial[]
  /** Background load: the share of the machine that other programs took meanwhile, 0 to 1. */
  readonly backgroundLoad: number
  /** The reason why the figures must be disregarded, as a sentence; empty if there is none. */
  readonly obstacle: string
}

const percent: Check<number> = (value, name) => {
  if (typeof value === 'number' && value >= 0 && value <= 100) return value
  throw unexpected('per cent from 0 to 100', name, value)
}

const checks = {
  rounds: withDefault(integer(1, 1000), 7),
  backgroundLoad: withDefault(percent, 15),
  signal: optional(instanceOf(AbortSignal)),
  onProgress: withDefault(callback<NonNullable<MeasureOptions['onProgress']>>(), () => undefined),
}

/** The fastest of these calls counts: the first one runs with caches full of another candidate's data. */
const callsOfTiming = 2

/** Milliseconds of the convolution. */
async function timed(net: Network, images: Tensor, direction: Dial['direction']): Promise<number> {
  const times: number[] = []
  for (let call = 0; call < callsOfTiming; call++) {
    const stage = (await net.profile(images)).at(-1)
    times.push((direction === 'forward' ? stage?.forwardMs : stage?.backwardMs) ?? Number.NaN)
  }
  return Math.min(...times)
}

/** A network of one convolution, planned for these images with this tuning. */
async function prepared({ channels, outputs }: Shape, tuning: CpuTuning, images: Tensor): Promise<Network> {
  const each = (value: number) => Array.from({ length: channels }, () => value)
  native().setCpuTuning(tuning)
  const net = await Network.create({
    layers: [
      { kind: 'input', channels, mean: each(0), scale: each(1) },
      { kind: 'convolution', name: 'convolution', outputs, kernel: 3 },
    ],
    device: 'cpu',
    initialisation: 'he',
  })
  try {
    await net.profile(images)
    return net
  } catch (error) {
    net.dispose()
    throw error
  }
}

/** Milliseconds of each tuning, by round. Each round begins with the next tuning. */
async function timesOf(
  shape: Shape,
  direction: Dial['direction'],
  {
    tunings,
    rounds,
    onTiming,
  }: {
    tunings: readonly CpuTuning[]
    rounds: number
    /** Called before each timing. @throws ABORTED */
    onTiming: () => void
  },
): Promise<number[][]> {
  const images = Tensor.randn([shape.batch, shape.channels, shape.side, shape.side], { seed: 1 })
  const nets: Network[] = []
  try {
    for (const tuning of tunings) nets.push(await prepared(shape, tuning, images))
    const times = nets.map((): number[] => [])
    for (let round = 0; round < rounds; round++) {
      for (let step = 0; step < nets.length; step++) {
        onTiming()
        const index = (round + step) % nets.length
        times[index]!.push(await timed(nets[index]!, images, direction))
      }
    }
    return times
  } finally {
    for (const net of nets) net.dispose()
  }
}

const ascending = (a: number, b: number): number => a - b

/**
 * Measures which block sizes suit this machine's convolutions best. Takes under a minute on two cores and up to 1 GB of memory.
 * The tuning in force stays the same, also after an error.
 * @throws ABORTED, INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export async function measureTuning(options: MeasureOptions = {}): Promise<Measured> {
  const { rounds, backgroundLoad: most, signal, onProgress } = readOptions(options, 'measureTuning options', checks)
  const { standard } = tuningInForce()
  const before = native().cpuTuning()
  const machine = tunedMachine()
  const valuesOf = ({ name, values }: Dial) => [...new Set([...values, standard[name]])].sort(ascending)
  const timings = dials.reduce((sum, dial) => sum + dial.shapes.length * valuesOf(dial).length * rounds, 0)
  let tuning = standard
  let done = 0
  const measured: MeasuredDial[] = []
  const atStart = usageOf([process.pid])
  try {
    for (const dial of dials) {
      const { name, direction, shapes } = dial
      const values = valuesOf(dial)
      const tunings = values.map((value) => ({ ...tuning, [name]: value }))
      const onTiming = () => {
        throwIfAborted(signal, 'The measuring')
        onProgress(name, done++, timings)
      }
      const times: number[][][] = []
      for (const shape of shapes) times.push(await timesOf(shape, direction, { tunings, rounds, onTiming }))
      const candidates = values.map((value, index): Candidate => {
        return { value, milliseconds: times.map((ofShape) => ofShape[index] ?? []) }
      })
      const comparison = compared(candidates, standard[name])
      const best = chosen(comparison, standard[name])
      measured.push({ name, direction, shapes, standard: standard[name], chosen: best, candidates: comparison })
      tuning = { ...tuning, [name]: best }
    }
  } finally {
    native().setCpuTuning(before)
  }
  const atEnd = usageOf([process.pid])
  const [backgroundLoad, obstacle] = [backgroundShare(atStart, atEnd), disturbance(atStart, atEnd, most)]
  return { machine, rounds, tuning, dials: measured, backgroundLoad, obstacle }
}

/** Writes the tuning to a file, atomically. Processes that start later use it. @throws FILE_WRITE */
export async function keepTuning(
  file: string,
  { machine, tuning }: Pick<Measured, 'machine' | 'tuning'>,
): Promise<void> {
  const kept: KeptTuning = { format: tuningFormat, machine, measured: new Date().toISOString(), tuning }
  await makeFolder(path.dirname(file))
  await writeAtomically(file, [new TextEncoder().encode(`${JSON.stringify(kept, null, 2)}\n`)])
}

/** Deletes the file of a tuning. @returns Whether it existed. @throws FILE_WRITE */
export async function forgetTuning(file: string): Promise<boolean> {
  try {
    await rm(file)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw writeError(file, error)
  }
}
