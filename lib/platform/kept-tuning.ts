import path from 'node:path'
import { messageOf } from '../error.js'
import { isObject } from '../options.js'
import { type CpuTuning, native } from './native.js'
import { cacheFolder, firstBytes } from './wheels/cache.mjs'

/** What a tuning was measured with; it is of no use with another. */
export interface TunedMachine {
  /** 'AMD EPYC 9R14' */
  readonly processor: string
  /** Of a network that asks for none. */
  readonly threads: number
  /** What oneDNN takes the processor for: 'avx512_core_bf16'. */
  readonly isa: string
  /** Of the native code. */
  readonly buildId: string
}

/** The file that keeps a tuning: plain data. */
export interface KeptTuning {
  readonly format: 1
  readonly machine: TunedMachine
  /** ISO 8601. */
  readonly measured: string
  readonly tuning: CpuTuning
}

/** The sizes that the CPU's convolutions of this process go by, and where they are from. */
export interface TuningInForce {
  readonly tuning: CpuTuning
  /** Those that the native code comes with. */
  readonly standard: CpuTuning
  readonly source: 'kept' | 'default'
  /** Where a tuning is kept, whether there is one or not; empty where the user has no such folder. */
  readonly file: string
  /** Why none that is kept is in force; empty where one is. */
  readonly reason: string
}

export const tuningFormat = 1

/** The per-user file of the tuning: beside the set-up's cache. */
export const tuningFile = (env: Readonly<Record<string, string | undefined>>): string =>
  path.join(cacheFolder(env), 'tuning.json')

const longestFile = 4096

/** As os.cpus() has it, of the first processor only: each takes its time. Empty where the system does not tell. */
function processorName(): string {
  try {
    return /^model name\s*:\s*(.*?)\s*$/m.exec(firstBytes('/proc/cpuinfo', 512))?.[1] ?? ''
  } catch {
    return ''
  }
}

/** This machine, with this build. @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED */
export function tunedMachine(): TunedMachine {
  const { threads, isa, buildId } = native().buildInfo()
  return { processor: processorName(), threads, isa, buildId }
}

const machineNames = { processor: 'processor', threads: 'count of threads', isa: 'instruction set', buildId: 'build' }

/** What a file keeps for this machine, or in words why it is left out; the sizes' ranges are for native code to check. */
export function keptIn(text: string, here: TunedMachine): { tuning: CpuTuning } | { reason: string } {
  let kept: unknown
  try {
    kept = JSON.parse(text)
  } catch {
    return { reason: 'it is damaged: no JSON' }
  }
  if (!isObject(kept)) return { reason: 'it is damaged: no object' }
  const { format, machine, tuning } = kept
  if (format !== tuningFormat) return { reason: `it is of format ${JSON.stringify(format) ?? 'none'}, not 1` }
  if (!isObject(machine) || !isObject(tuning)) return { reason: 'it is damaged: it lacks machine or tuning' }
  for (const name of ['processor', 'threads', 'isa', 'buildId'] as const) {
    if (machine[name] === here[name]) continue
    return { reason: `it is of another ${machineNames[name]}: ${JSON.stringify(machine[name])}, not ${here[name]}` }
  }
  const { ownBlock, sharedBlock, gradientBlock } = tuning
  const sizes = { ownBlock, sharedBlock, gradientBlock }
  if (Object.values(sizes).every((size) => typeof size === 'number')) return { tuning: sizes as CpuTuning }
  return { reason: 'it is damaged: a size is no number' }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Puts the kept tuning into force. @returns why not, in words; empty where it is */
function apply(file: string): string {
  const ignored = (reason: string) => `${file} is ignored: ${reason}`
  try {
    const text = firstBytes(file, longestFile + 1)
    if (text.length > longestFile) return ignored(`it is damaged: more than ${longestFile} bytes`)
    const kept = keptIn(text, tunedMachine())
    if ('reason' in kept) return ignored(kept.reason)
    native().setCpuTuning(kept.tuning)
    return ''
  } catch (error) {
    if (isMissing(error)) return 'none is kept: `vggnet tune` measures this machine'
    return ignored(messageOf(error))
  }
}

/** The file and why it is not in force, empty where it is; no file where this user has no folder of his own. */
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
 * The tuning of this process: the kept one, put into force at the first call, or the default. What is kept for another
 * machine or build, or damaged, is left out, and `reason` says so.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED, and nothing else
 */
export function tuningInForce(): TuningInForce {
  inForce ??= begin()
  return inForce
}
