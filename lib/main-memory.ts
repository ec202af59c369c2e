import { readFileSync } from 'node:fs'

/** Reads the text of a file; undefined if it cannot be read. */
type Read = (path: string) => string | undefined

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Files of a control group by version; as in native/backend/cpu/memory.cpp. */
const groups = {
  unified: { mount: '/sys/fs/cgroup', limit: 'memory.max', usage: 'memory.current', reclaimable: 'inactive_file' },
  memory: {
    mount: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    reclaimable: 'total_inactive_file',
  },
} as const

function fieldOf(text: string | undefined, key: string): number | undefined {
  const line = text?.split('\n').find((one) => one.split(/\s/)[0] === key)
  const value = Number(line?.split(/\s+/)[1] ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

/** The number in a file; undefined if there is no file, or no limit ("max"). */
function numberOf(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

// The tightest limit of a group and its ancestors. In a container the path may be the host's and not exist here; then
// only the root counts, which is the container's group.
function roomInGroup(files: (typeof groups)[keyof typeof groups], path: string, read: Read): number {
  const parts = path.split('/').filter(Boolean)
  const rooms = Array.from({ length: parts.length + 1 }, (_, depth) => {
    const folder = [files.mount, ...parts.slice(0, depth)].join('/')
    const limit = numberOf(read(`${folder}/${files.limit}`))
    const usage = numberOf(read(`${folder}/${files.usage}`))
    if (limit === undefined || usage === undefined) return Number.POSITIVE_INFINITY
    const reclaimable = fieldOf(read(`${folder}/memory.stat`), files.reclaimable) ?? 0
    return Math.max(0, limit - usage + reclaimable)
  })
  return Math.min(...rooms)
}

// Lines of /proc/self/cgroup: "0::/path" (version 2), "9:memory:/path" (version 1).
function roomInGroups(read: Read): number {
  const rooms = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) return Number.POSITIVE_INFINITY
    if (controllers === '') return roomInGroup(groups.unified, path, read)
    return controllers.split(',').includes('memory') ? roomInGroup(groups.memory, path, read) : Number.POSITIVE_INFINITY
  })
  return Math.min(...rooms)
}

/**
 * Bytes of main memory that this process can still use: the lesser of MemAvailable and the remaining limit of its
 * control groups. Infinity if neither is known.
 * @param read reads a file; replaced in tests
 */
export function availableMainMemory(read: Read = readText): number {
  const kilobytes = fieldOf(read('/proc/meminfo'), 'MemAvailable:') ?? Number.POSITIVE_INFINITY
  return Math.min(kilobytes * 1024, roomInGroups(read))
}
