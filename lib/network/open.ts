import { VggError } from '../error.js'
import { type Layer, parameterCount } from '../layer.js'
import {
  boolean,
  type Check,
  type Checked,
  checksOf,
  type DefaultCheck,
  integer,
  type OptionRow,
  oneOf,
  optional,
  seed,
  unexpected,
  withDefault,
} from '../options.js'
import { type NativeNetwork, native } from '../platform/native.js'
import type { Precision } from '../platform/native-description.js'
import { recordRun } from './opened-run.js'
import { prepareDevice } from './prepare-device.js'

/** Where a network computes: the processor, an NVIDIA card, or the best that is there. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

/**
 * How weights start. All are normal with mean 0, biases 0: `glorot` has variance 2 / (inputs + outputs), `he`
 * 2 / inputs, `paper` standard deviation 0.01 (Sect. 3.1), which trains A and starts the deeper nets dead.
 * `none` leaves them unset, for a caller who sets every one.
 */
export type Initialisation = 'glorot' | 'he' | 'paper' | 'none'

/** What may differ between two runs of the same model. */
export interface RunOptions {
  /**
   * Default `auto`: cuda where it is there, else cpu; `Network.device` and `deviceReason` tell. An explicit device never
   * falls back.
   */
  device?: Device
  /**
   * How activations are stored and products made; weights are float32 always. Default: `bf16` on a card from sm_80 on,
   * `float32` on an older one and on the cpu, which has no other.
   */
  precision?: Precision
  /** On a card: two equal runs give equal bits; slower. The cpu always does so. Default false. */
  deterministic?: boolean
  /** For initial weights and dropout: an integer from 0 to 2^53 - 1; default 0. */
  seed?: number
  /** Threads on the cpu, 1 to 1024; default: one for each processor. */
  threads?: number
  /** Direct convolutions only, no Winograd: slower, rounding errors about 10 times smaller. Default false. */
  exact?: boolean
  /** Bytes that the network may take in all; more is OUT_OF_MEMORY. Default: no limit. */
  memoryLimit?: number
}

export const device: Check<Device> = (value, name) => {
  if (typeof value === 'string' && /^cuda:\d{1,3}$/.test(value)) return value as Device
  if (typeof value === 'string') return oneOf('auto', 'cpu', 'cuda', 'cuda:0')(value, name)
  throw unexpected("'auto', 'cpu', 'cuda' or 'cuda:N'", name, value)
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
} as const satisfies Record<keyof RunOptions, OptionRow>

/** The checks of `RunOptions`. */
export const runChecks = checksOf(runTable)

/** The check of `initialisation`. */
export const initialisation: DefaultCheck<Initialisation> = withDefault<Initialisation>(
  oneOf('glorot', 'he', 'paper', 'none'),
  'glorot',
)

/** A native network with its weights initialised. */
export async function openNative(
  layers: readonly Layer[],
  run: Checked<typeof runChecks>,
  scheme: Initialisation,
): Promise<NativeNetwork> {
  const parameterBytes = 4 * parameterCount(layers)
  if (run.memoryLimit > 0 && parameterBytes > run.memoryLimit) {
    const message = `The parameters take ${parameterBytes} bytes, more than the memoryLimit of ${run.memoryLimit}`
    throw new VggError('OUT_OF_MEMORY', message)
  }
  prepareDevice(run.device)
  const network = await native().Network.create({ layers, ...run })
  const tuning = network.device === 'cpu' ? native().cpuTuning() : null
  recordRun(network, { seed: run.seed, threads: network.threads, exact: run.exact, tuning })
  if (scheme === 'none') return network
  try {
    await network.initialise({ scheme, seed: run.seed })
    return network
  } catch (error) {
    network.dispose()
    throw error
  }
}
