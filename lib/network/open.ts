import { cpus } from 'node:os'
import { VggError } from '../error.js'
import { Group } from '../group/group.js'
import { checkedLayers, type Layer, layersWithParameters } from '../layer.js'
import {
  arrayOf,
  boolean,
  type Check,
  type Checked,
  checksOf,
  type DefaultCheck,
  instanceOf,
  integer,
  isObject,
  type OptionRow,
  oneOf,
  optional,
  seed,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { cudaLocations } from '../platform/cuda/locations.js'
import { tuningInForce } from '../platform/kept-tuning.js'
import { type CpuTuning, type NativeNetwork, native } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import { parameterBytes, parametersTooLarge, withParameterSizes } from './parameter-memory.js'

/** Device of a network: the CPU, an NVIDIA GPU, or `auto`: the GPU if there is one, otherwise the CPU. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

/**
 * Distribution of the initial weights: normal with mean 0, and biases of 0. The variance is 2 / (inputs + outputs) for
 * `glorot` and 2 / inputs for `he`; the standard deviation is 0.01 for `paper` (Sect. 3.1), with which A trains, but
 * the deeper configurations do not. `none` leaves the weights uninitialised, for callers that set all of them.
 */
export type Initialisation = 'glorot' | 'he' | 'paper' | 'none'

/** Options of the device and of the run, which may differ between two runs of the same model. */
export interface RunOptions {
  /**
   * Device. `auto` takes a GPU if one can be used, otherwise the CPU; `Network.device` and `Network.deviceReason` report
   * the choice. A named device never falls back. Default `auto`.
   */
  device?: Device | undefined
  /**
   * Precision of activations and products; weights are always float32. The CPU has `float32` only. Default: `bf16` on a
   * GPU with compute capability 8.0 or later, otherwise `float32`.
   */
  precision?: Precision | undefined
  /** Whether equal runs on a GPU give equal bits, which is slower. The CPU is always deterministic. Default false. */
  deterministic?: boolean | undefined
  /** Seed of the initial weights and of dropout: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number | undefined
  /** Threads on the CPU, 1 to 1024. Default: one for each processor. */
  threads?: number | undefined
  /** Whether all convolutions are direct, without Winograd: slower, rounding errors about 10 times smaller. Default false. */
  exact?: boolean | undefined
  /** Limit in bytes of the network's memory; exceeding it throws OUT_OF_MEMORY. Default: no limit. */
  memoryLimit?: number | undefined
  /**
   * Ranks that compute the steps of the network together, each its part of the batch; all of them create it with the same
   * options. On the CPU only. Default: none.
   */
  group?: Group | undefined
}

/** Options of `Network.create`. */
export interface NetworkOptions extends RunOptions {
  /** The layers as plain data, the input layer first. */
  layers: readonly Layer[]
  /** Distribution of the initial weights. Default `glorot`. */
  initialisation?: Initialisation | undefined
  /** One name for each class, saved with the model. Default: none. */
  classNames?: readonly string[] | undefined
}

/** Settings that a network was opened with and that its results depend on, besides device, precision and determinism. */
export interface OpenedRun {
  /** Seed of the initial weights and of dropout. */
  readonly seed: number
  /** Threads in use on the CPU: one for each processor if the option was left out. */
  readonly threads: number
  /** Whether all convolutions are direct, without Winograd. */
  readonly exact: boolean
  /** Kernel choices of the CPU, which determine the order of summation; null on a GPU. */
  readonly tuning: CpuTuning | null
}

/** Constructor argument of `Network` and of the classes that extend it. */
export interface NetworkParts {
  readonly native: NativeNetwork
  readonly run: OpenedRun
  readonly group: Group | undefined
  readonly layers: readonly Layer[]
  /** Number of classes; 0 without a head. */
  readonly classes: number
  readonly classNames: readonly string[]
  /** Name of the network in messages. */
  readonly name: string
}

/** Other names of a GPU: 'gpu', 'GPU:1', 'cuda0', 'nvidia'. */
const gpuName = /^(?:gpu|cuda|nvidia):?(\d{0,3})$/i

/** Refuses the options of `create` where a program without types calls the constructor. */
export function openedParts(parts: NetworkParts): NetworkParts {
  if (isObject(parts) && 'native' in parts) return parts
  throw unexpected('an opened network', 'new', parts, 'use await VGG.create(options), or await load(path)')
}

export const device: Check<Device> = (value, name) => {
  if (typeof value !== 'string') throw unexpected("'auto', 'cpu', 'cuda' or 'cuda:N'", name, value)
  if (/^cuda:\d{1,3}$/.test(value)) return value as Device
  const [gpu, number] = gpuName.exec(value) ?? []
  if (gpu === undefined || value === 'cuda') return oneOf('auto', 'cpu', 'cuda', 'cuda:0')(value, name)
  const meant = number ? `cuda:${number}` : 'cuda'
  throw new VggError(
    'INVALID_ARGUMENT',
    `Expected one of auto, cpu, cuda, cuda:0 for ${name} but received '${value}'; an NVIDIA GPU is '${meant}'`,
  )
}

const precisions = ['bf16', 'tf32', 'float32'] as const

/**
 * The table of `RunOptions`: checks, defaults and flags. 0 threads stand for one on each processor, and a memory limit of
 * 0 for none.
 */
export const runTable = {
  device: { check: withDefault(device, 'auto'), flag: '--device <name>', help: 'auto, cpu, cuda or cuda:N' },
  precision: {
    check: optional(oneOf(...precisions)),
    flag: '--precision <name>',
    help: 'number format of activations and products (default: bf16 on a GPU from sm_80 on, else float32)',
    choices: precisions,
  },
  deterministic: {
    check: withDefault(boolean, false),
    flag: '--deterministic',
    help: 'on a GPU: equal runs give equal bits; slower',
  },
  threads: {
    check: withDefault(integer(1, 1024), 0),
    flag: '--threads <n>',
    help: 'threads on the CPU (default: one for each processor)',
  },
  seed: { check: withDefault(seed, 0) },
  exact: {
    check: withDefault(boolean, false),
    flag: '--exact',
    help: 'direct convolutions only, no Winograd: slower, smaller rounding errors',
  },
  memoryLimit: { check: withDefault(integer(1), 0) },
  group: { check: optional(instanceOf(Group)) },
} as const satisfies Record<keyof RunOptions, OptionRow>

/** The checks of `RunOptions`. */
export const runChecks = checksOf(runTable)

/** The check of `initialisation`. */
export const initialisation: DefaultCheck<Initialisation> = withDefault<Initialisation>(
  oneOf('glorot', 'he', 'paper', 'none'),
  'glorot',
)

/** The checks of `NetworkOptions`. */
export const networkChecks = {
  ...runChecks,
  layers: checkedLayers,
  initialisation,
  classNames: optional(arrayOf(text)),
}

/**
 * Prepares native code for a device, before a network is opened or planned for it: applies the kept tuning where the
 * device may be the CPU, and passes on the locations of NVIDIA's libraries where it may be a GPU.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function prepareDevice(device: string): void {
  if (!device.startsWith('cuda')) tuningInForce()
  if (device !== 'cpu') native().setCudaLocations(cudaLocations())
}

/**
 * The error of a named GPU that cannot be used, with what else is missing and what to do; other errors as they are. Its
 * cause is the error of the backend.
 */
export function withDeviceCure(error: unknown, device: string): unknown {
  if (!(error instanceof VggError) || error.code !== 'DEVICE_UNAVAILABLE' || !device.startsWith('cuda')) return error
  const { library, noLibrary } = cudaLocations()
  const also = library === '' && !error.message.includes(noLibrary) ? `; also, ${noLibrary}` : ''
  const cure = "`npx vggnet doctor` shows what is missing; device: 'cpu' (--device cpu) needs no GPU"
  return new VggError(error.code, `${error.message}${also}. ${cure}`, { cause: error })
}

/** The processors of a host are divided among its ranks, unless the launcher has bound each rank to its own. */
export function threadsOfRank(group: Group): number {
  const usable = native().buildInfo().threads
  const isBound = usable < cpus().length
  return isBound ? usable : Math.max(1, Math.floor(usable / group.localSize))
}

/** Opens a native network and initialises its weights. */
export async function openNative(
  layers: readonly Layer[],
  run: Checked<typeof runChecks>,
  scheme: Initialisation,
): Promise<Pick<NetworkParts, 'native' | 'run' | 'group'>> {
  if (run.memoryLimit > 0 && parameterBytes(layers) > run.memoryLimit)
    throw parametersTooLarge(layers, `memoryLimit is ${run.memoryLimit} bytes`)
  prepareDevice(run.device)
  const { group: asked, ...others } = run
  // a group of one computes as a network without a group
  const group = asked !== undefined && asked.size > 1 ? asked : undefined
  const threads = group === undefined || run.threads > 0 ? run.threads : threadsOfRank(group)
  const network = await native()
    .Network.create({ layers, ...others, threads, group: group !== undefined })
    .catch((error) => {
      throw withParameterSizes(withDeviceCure(error, run.device), layers)
    })
  try {
    if (scheme !== 'none') await network.initialise({ scheme, seed: run.seed, layers: layersWithParameters(layers) })
  } catch (error) {
    network.dispose()
    throw error
  }
  const tuning = network.device === 'cpu' ? native().cpuTuning() : null
  return { native: network, group, run: { seed: run.seed, threads: network.threads, exact: run.exact, tuning } }
}
