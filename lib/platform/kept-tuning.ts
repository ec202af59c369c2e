import path from 'node:path'
import { messageOf } from '../error.js'
import { type JsonLimits, parsedJson } from '../files/untrusted.js'
import { isObject } from '../options.js'
import { type CpuTuning, native } from './native.js'
import { packageVersion } from './package.js'
import { cacheFolder, firstBytes } from './wheels/cache.mjs'
import { cacheExposure, exposureOf } from './wheels/private.mjs'

/** The machine and build that a tuning was measured with. The tuning applies only to them. */
export interface TunedMachine {
  /** Name of the processor: 'AMD EPYC 9R14'. */
  readonly processor: string
  /** Default number of threads of a network. */
  readonly threads: number
  /** Instruction set according to oneDNN: 'avx512_core_bf16'. */
  readonly isa: string
  /** Hash of the sources of the native code. */
  readonly buildId: string
}

/** The content of the file with the tuning. */
export interface KeptTuning {
  readonly format: 1
  readonly machine: TunedMachine
  /** The time of the measurement, ISO 8601. */
  readonly measured: string
  readonly tuning: CpuTuning
}

/** The block sizes of convolutions on the CPU in this process, and their source. */
export interface TuningInForce {
  readonly tuning: CpuTuning
  /** The default sizes of the native code. */
  readonly standard: CpuTuning
  readonly source: 'kept' | 'default'
  /** The path of the file with the tuning, whether it exists or not; '' if the user has no cache folder. */
  readonly file: string
  /** Why the file is not used; '' if it is. */
  readonly reason: string
}

export const tuningFormat = 1

/** Returns the path of the per-user file with the tuning, in the cache. */
export const tuningFile = (env: Readonly<Record<string, string | undefined>>): string =>
  path.join(cacheFolder(env), 'tuning.json')

/** Limits of the file. */
const limits: JsonLimits = { bytes: 4096, depth: 4, values: 100 }

/** The name of the first processor as in os.cpus(), which is slower because it reads all; '' if it is unknown. */
function processorName(): string {
  try {
    return /^model name\s*:\s*(.*?)\s*$/m.exec(firstBytes('/proc/cpuinfo', 512))?.[1] ?? ''
  } catch {
    return ''
  }
}

/** Describes this machine and this build. @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED */
export function tunedMachine(): TunedMachine {
  const { threads, isa, buildId } = native().buildInfo()
  return { processor: processorName(), threads, isa, buildId }
}

const machineNames = { processor: 'processor', threads: 'number of threads', isa: 'instruction set', buildId: 'build' }

/** Returns the tuning in the text of a file, or why it does not apply to this machine. Native code checks the ranges. */
export function keptIn(text: string, here: TunedMachine): { tuning: CpuTuning } | { reason: string } {
  let kept: unknown
  try {
    kept = parsedJson(text, limits)
  } catch {
    return { reason: 'it is damaged: not JSON' }
  }
  if (!isObject(kept)) return { reason: 'it is damaged: not an object' }
  const { format, machine, tuning } = kept
  if (format !== tuningFormat)
    return {
      reason: `its format is ${JSON.stringify(format) ?? 'none'}, and vggnet ${packageVersion()} reads 1; \`npx vggnet tune\` measures again`,
    }
  if (!isObject(machine) || !isObject(tuning)) return { reason: 'it is damaged: it lacks machine or tuning' }
  for (const name of ['processor', 'threads', 'isa', 'buildId'] as const) {
    if (machine[name] === here[name]) continue
    return {
      reason: `it belongs to another ${machineNames[name]}: ${JSON.stringify(machine[name])}, not ${here[name]}`,
    }
  }
  const { ownBlock, sharedBlock, gradientBlock } = tuning
  const sizes = { ownBlock, sharedBlock, gradientBlock }
  if (Object.values(sizes).every((size) => typeof size === 'number')) return { tuning: sizes as CpuTuning }
  return { reason: 'it is damaged: a size is not a number' }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Applies the tuning in a file. @returns why it was not applied; '' if it was */
function apply(file: string): string {
  const ignored = (reason: string) => `${file} is ignored: ${reason}`
  try {
    const text = firstBytes(file, limits.bytes + 1)
    const exposure = cacheExposure(path.dirname(file)) || exposureOf(file)
    if (exposure !== '') return ignored(exposure)
    if (text.length > limits.bytes) return ignored(`it is damaged: more than ${limits.bytes} bytes`)
    const kept = keptIn(text, tunedMachine())
    if ('reason' in kept) return ignored(kept.reason)
    native().setCpuTuning(kept.tuning)
    return ''
  } catch (error) {
    if (isMissing(error)) return 'there is none: `npx vggnet tune` measures this machine'
    return ignored(messageOf(error))
  }
}

/** Applies the user's tuning, if any. Returns the file, '' if the user has no cache folder, and why it is not used. */
function applied(env: NodeJS.ProcessEnv): Pick<TuningInForce, 'file' | 'reason'> {
  try {
    const file = tuningFile(env)
    return { file, reason: env.VGGNET_TUNING === 'off' ? 'VGGNET_TUNING=off' : apply(file) }
  } catch (error) {
    return { file: '', reason: `no folder for the cache: ${messageOf(error)}` }
  }
}

function begin(): TuningInForce {
  const standard = native().cpuTuning()
  const { file, reason } = applied(process.env)
  return { tuning: native().cpuTuning(), standard, source: reason === '' ? 'kept' : 'default', file, reason }
}

let inForce: TuningInForce | undefined

/**
 * Returns the tuning of this process: that of the file, applied at the first call, or the default. A file that is damaged or
 * belongs to another machine or build is ignored, with the `reason`.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED, and nothing else
 */
export function tuningInForce(): TuningInForce {
  inForce ??= begin()
  return inForce
}
