// Processors and memory that Linux allows this process: affinity and control groups.
import { readFileSync } from 'node:fs'

/** Reads the text of a file; undefined where it cannot be read. */
export type Read = (file: string) => string | undefined

const readText: Read = (file) => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** Limits of a process. Null means no limit. */
export interface Limits {
  /** Processor time that the control group allows, in processors: 1.5. */
  readonly processors: number | null
  /** Memory that the control group allows, in bytes. */
  readonly bytes: number | null
  /** Processors that this process may run on: '0-3,6'; null where unknown. */
  readonly affinity: string | null
}

/** Values from here on mean no limit: version 1 writes a number near 2^63. */
const mostBytes = 2 ** 60

const quotient = (quota: number, period: number): number => (quota > 0 && period > 0 ? quota / period : Number.NaN)

/** Limits of one control group, of version 1 or 2. */
function limitsOf(folder: (controller: string) => string, read: Read): { processors: number; bytes: number } {
  const at = (controller: string, name: string) => read(`${folder(controller)}/${name}`)?.trim() ?? ''
  const [quota, period] = at('cpu', 'cpu.max').split(' ').map(Number)
  const processors = [
    quotient(quota ?? 0, period ?? 0),
    quotient(Number(at('cpu', 'cpu.cfs_quota_us')), Number(at('cpu', 'cpu.cfs_period_us'))),
  ]
  const bytes = ['memory.max', 'memory.limit_in_bytes'].map((name) => Number(at('memory', name) || Number.NaN))
  const least = (values: number[]) => Math.min(...values.filter(Number.isFinite))
  return { processors: least(processors), bytes: least(bytes) }
}

/** Folders of this process's groups and their parents, from /proc/self/cgroup: "0::/path", "4:memory:/path". */
function groupFolders(read: Read): ((controller: string) => string)[] {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n')
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) return []
    const parts = path.split('/').filter(Boolean)
    return Array.from({ length: parts.length + 1 }, (_, depth) => {
      const inside = parts.slice(0, depth).map((part) => `/${part}`)
      // in version 1 each controller has a line; 'cpu,cpuacct' is also mounted as 'cpu'
      const named = controllers.split(',')
      const mounted = (controller: string) =>
        controllers === '' ? '' : `/${named.includes(controller) ? controller : 'none'}`
      return (controller: string) => `/sys/fs/cgroup${mounted(controller)}${inside.join('')}`
    })
  })
}

/**
 * Reads the limits of this process: the tightest of its control groups and their parents.
 * @param read reads a file; tests pass their own
 */
export function limitsHere(read: Read = readText): Limits {
  const found = groupFolders(read).map((folder) => limitsOf(folder, read))
  const least = (values: number[], most: number): number | null => {
    const value = Math.min(...values)
    return value < most ? value : null
  }
  const affinity = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1] ?? null
  return {
    processors: least(
      found.map(({ processors }) => processors),
      Number.POSITIVE_INFINITY,
    ),
    bytes: least(
      found.map(({ bytes }) => bytes),
      mostBytes,
    ),
    affinity,
  }
}

const sets = { avx2: 'AVX2', avx512f: 'AVX-512', avx512_bf16: 'AVX-512 BF16', amx_tile: 'AMX' } as const

/** Relevant instruction sets that the processor reports. */
export function instructionSets(read: Read = readText): string[] {
  const flags = new Set((/^flags\s*:(.*)$/m.exec(read('/proc/cpuinfo') ?? '')?.[1] ?? '').split(/\s+/))
  return Object.entries(sets).flatMap(([flag, name]) => (flags.has(flag) ? [name] : []))
}
