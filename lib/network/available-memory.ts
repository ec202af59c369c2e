import { readFileSync } from 'node:fs'
import { native } from '../platform/native.js'
import { prepareDevice } from './prepare-device.js'

/** The text of a file, or undefined where there is none to read. */
type Read = (path: string) => string | undefined

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The files of a control group, version by version; as native/backend/cpu/memory.cpp has them. */
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

/** Undefined where there is no such file, or no limit: "max". */
function numberOf(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

// The tightest of a group and those around it. In a container the path may be one of the host's, which does not exist
// here; then only the root counts, and that is the container's own group.
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
 * Bytes of main memory that this process can still take: what the system calls available, or what its control groups
 * leave, whichever is less. Infinity where neither is told.
 * @param read of a path; another than the system's in tests
 */
export function availableMainMemory(read: Read = readText): number {
  const kilobytes = fieldOf(read('/proc/meminfo'), 'MemAvailable:') ?? Number.POSITIVE_INFINITY
  return Math.min(kilobytes * 1024, roomInGroups(read))
}

const mebibyte = 2 ** 20

/** Kept free in main memory: for decoded images, what is prepared beside the plan, and the program itself. */
const mainMargin = (bytes: number): number => Math.max(256 * mebibyte, 0.1 * bytes)

/** Kept free on a card: what the native side never takes (native/backend/cuda/device.cpp), and as much for the rest. */
const cardMargin = 512 * mebibyte

/**
 * Bytes that a network on this device can take beyond those it holds, a margin left free. Never below 0.
 * @param device 'cpu', 'cuda' or 'cuda:N'
 */
export function availableBytes(device: string): number {
  if (device === 'cpu') {
    const bytes = availableMainMemory()
    return Math.max(0, Math.floor(bytes - mainMargin(bytes)))
  }
  prepareDevice(device)
  const name = device === 'cuda' ? 'cuda:0' : device
  const card = native()
    .cudaReport()
    .cards.find((one) => one.device === name)
  return Math.max(0, (card?.freeBytes ?? 0) - cardMargin)
}
