import { throwIfAborted } from '../error.js'
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
import { type TunedMachine, tunedMachine, tuningInForce } from '../platform/kept-tuning.js'
import { type CpuTuning, native } from '../platform/native.js'
import { Tensor } from '../tensor.js'
import { backgroundShare, disturbance, usageOf } from './background-load.js'
import { type Candidate, type Compared, chosen, compared } from './choice.js'
import { type Dial, dials, type Shape } from './dials.js'

export interface MeasureOptions {
  /** Turns of each candidate, 1 to 1000; default 7. */
  rounds?: number
  /** Per cent of the machine that other programs may take on average, 0 to 100; default 15. */
  backgroundLoad?: number
  /** Ends the measuring with ABORTED. */
  signal?: AbortSignal
  /** After each turn: what is measured, turns done and to do. */
  onProgress?: (name: keyof CpuTuning, done: number, of: number) => void
}

/** What measuring one size has found. */
export interface MeasuredDial {
  readonly name: keyof CpuTuning
  readonly direction: Dial['direction']
  /** Of the times, in their order. */
  readonly shapes: readonly Shape[]
  readonly standard: number
  readonly chosen: number
  readonly candidates: readonly Compared[]
}

/** What measuring has found. */
export interface Measured {
  readonly machine: TunedMachine
  readonly rounds: number
  /** What suits this machine best, as far as can be told. */
  readonly tuning: CpuTuning
  readonly dials: readonly MeasuredDial[]
  /** The share of the machine that other programs took meanwhile, 0 to 1. */
  readonly backgroundLoad: number
  /** Why the figures are worth nothing, in words; empty where they are. */
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

/** Calls of one turn, of which the fastest counts: the first finds caches full of another's figures. */
const callsOfTurn = 2

async function turnOf(net: Network, images: Tensor, direction: Dial['direction']): Promise<number> {
  const times: number[] = []
  for (let call = 0; call < callsOfTurn; call++) {
    const stage = (await net.profile(images)).at(-1)
    times.push((direction === 'forward' ? stage?.forwardMs : stage?.backwardMs) ?? Number.NaN)
  }
  return Math.min(...times)
}

/** A network of one convolution, planned for these images while the tuning is in force. */
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

/** Milliseconds of each value, of each round; the rounds begin with another one each time. */
async function interleaved(
  shape: Shape,
  dial: Dial,
  {
    values,
    tuning,
    rounds,
    turn,
  }: {
    values: readonly number[]
    tuning: CpuTuning
    rounds: number
    /** Before each turn. @throws ABORTED */
    turn: () => void
  },
): Promise<number[][]> {
  const images = Tensor.randn([shape.batch, shape.channels, shape.side, shape.side], { seed: 1 })
  const nets: Network[] = []
  try {
    for (const value of values) nets.push(await prepared(shape, { ...tuning, [dial.name]: value }, images))
    const times = values.map((): number[] => [])
    for (let round = 0; round < rounds; round++) {
      for (let position = 0; position < nets.length; position++) {
        turn()
        const at = (round + position) % nets.length
        times[at]!.push(await turnOf(nets[at]!, images, dial.direction))
      }
    }
    return times
  } finally {
    for (const net of nets) net.dispose()
  }
}

const ascending = (a: number, b: number): number => a - b

/**
 * Measures which sizes suit this machine's convolutions best; under a minute on two cores, and up to 1 GB of memory.
 * Whatever its end, the tuning in force is what it was before.
 * @throws ABORTED, INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export async function measureTuning(options: MeasureOptions = {}): Promise<Measured> {
  const { rounds, backgroundLoad: most, signal, onProgress } = readOptions(options, 'measureTuning options', checks)
  const { standard } = tuningInForce()
  const before = native().cpuTuning()
  const machine = tunedMachine()
  const valuesOf = ({ name, values }: Dial) => [...new Set([...values, standard[name]])].sort(ascending)
  const turns = dials.reduce((sum, dial) => sum + dial.shapes.length * valuesOf(dial).length * rounds, 0)
  let tuning = standard
  let done = 0
  const found: MeasuredDial[] = []
  const atStart = usageOf([process.pid])
  try {
    for (const dial of dials) {
      const { name, direction, shapes } = dial
      const values = valuesOf(dial)
      const turn = () => {
        throwIfAborted(signal, 'The measuring')
        onProgress(name, done++, turns)
      }
      const times: number[][][] = []
      for (const shape of shapes) times.push(await interleaved(shape, dial, { values, tuning, rounds, turn }))
      const candidates = values.map((value, at): Candidate => {
        return { value, milliseconds: times.map((ofShape) => ofShape[at] ?? []) }
      })
      const beside = compared(candidates, standard[name])
      const best = chosen(beside, standard[name])
      found.push({ name, direction, shapes, standard: standard[name], chosen: best, candidates: beside })
      tuning = { ...tuning, [name]: best }
    }
  } finally {
    native().setCpuTuning(before)
  }
  const atEnd = usageOf([process.pid])
  const [backgroundLoad, obstacle] = [backgroundShare(atStart, atEnd), disturbance(atStart, atEnd, most)]
  return { machine, rounds, tuning, dials: found, backgroundLoad, obstacle }
}
