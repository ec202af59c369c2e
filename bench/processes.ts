// What Linux tells of processes: processor time, the machine's and theirs, and the most memory that one has held.
import { readFileSync } from 'node:fs'
import type { Contender } from './turns.js'

/** Processor time so far, in the kernel's ticks. */
export interface Usage {
  /** Of all processors, idle or not. */
  readonly total: number
  /** Not idle, and taken by the host of a virtual machine. */
  readonly busy: number
  /** Of the processes that are measured. */
  readonly own: number
}

/** The first line of /proc/stat. */
export function machineUsage(stat: string): Pick<Usage, 'total' | 'busy'> {
  // the last two, time of guests, are in the first two already
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, ...interrupts] = stat
    .split('\n')[0]!
    .split(/\s+/)
    .slice(1, 9)
    .map(Number)
  const busy = [user, nice, system, ...interrupts].reduce((sum, ticks) => sum + ticks, 0)
  return { busy, total: busy + idle + waiting }
}

/** Ticks of a process with all its threads, from its /proc/PID/stat. */
export function processUsage(stat: string): number {
  // the name, in brackets, may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** The share of the machine's processor time between two moments that went to other processes, from 0 to 1. */
export function foreignShare(before: Usage, after: Usage): number {
  const total = after.total - before.total
  const foreign = after.busy - before.busy - (after.own - before.own)
  return total > 0 ? Math.max(0, foreign) / total : 0
}

function usageOf(pids: readonly number[]): Usage {
  const own = pids.map((pid) => processUsage(readFileSync(`/proc/${pid}/stat`, 'utf8')))
  return { ...machineUsage(readFileSync('/proc/stat', 'utf8')), own: own.reduce((sum, ticks) => sum + ticks, 0) }
}

/** Watches what others make of the machine while contenders have their rounds. */
export class LoadWatch {
  readonly #pids: readonly number[]
  readonly #shares: number[] = []

  /** @param pids of the processes that are measured, besides this one */
  constructor(pids: readonly number[] = []) {
    this.#pids = [process.pid, ...pids]
  }

  watched(contender: Contender): Contender {
    return {
      name: contender.name,
      round: async (milliseconds) => {
        const before = usageOf(this.#pids)
        const time = await contender.round(milliseconds)
        this.#shares.push(foreignShare(before, usageOf(this.#pids)))
        return time
      },
    }
  }

  /** Each round's share of the machine that was in other hands. */
  get shares(): readonly number[] {
    return this.#shares
  }
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The most memory that a living process has held at once, in MB of 10^6 bytes. */
export function peakMegabytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return (Number(kilobytes) * 1024) / 1e6
}
