// What Linux tells of processor time: the machine's, and that of the processes that are measured.
import { readFileSync } from 'node:fs'

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
export function backgroundShare(before: Usage, after: Usage): number {
  const total = after.total - before.total
  const foreign = after.busy - before.busy - (after.own - before.own)
  return total > 0 ? Math.max(0, foreign) / total : 0
}

/**
 * Why figures that were measured between two moments are worth nothing, in words; empty where they are.
 * @param most per cent of the machine that other processes may take
 */
export function disturbance(before: Usage, after: Usage, most: number): string {
  if (after.total <= before.total) return 'the system does not tell what other programs took of the machine meanwhile'
  const percent = 100 * backgroundShare(before, after)
  if (percent <= most) return ''
  return `other programs took ${percent.toFixed(1)} % of the machine meanwhile, and up to ${most} % is allowed`
}

/** What the machine has done until now, and these processes of it. @throws what node:fs throws */
export function usageOf(pids: readonly number[]): Usage {
  const own = pids.map((pid) => processUsage(readFileSync(`/proc/${pid}/stat`, 'utf8')))
  return { ...machineUsage(readFileSync('/proc/stat', 'utf8')), own: own.reduce((sum, ticks) => sum + ticks, 0) }
}
