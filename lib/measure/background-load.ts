// Processor time and memory of processes, as Linux reports them in /proc.
import { readFileSync } from 'node:fs'

/** Processor time since the machine's start, in ticks of the kernel. */
export interface Usage {
  /** Time of all processors, idle or not. */
  readonly total: number
  /** Time that was not idle, including the time that the host of a virtual machine took. */
  readonly busy: number
  /** Time of the measured processes. */
  readonly own: number
}

/** Reads the first line of /proc/stat. */
export function machineUsage(stat: string): Pick<Usage, 'total' | 'busy'> {
  // the last two columns, time of guests, are included in the first two
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
  // the name, in brackets, may contain anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Background load: the share of the machine's processor time between two readings that other processes took, 0 to 1. */
export function backgroundShare(before: Usage, after: Usage): number {
  const total = after.total - before.total
  const others = after.busy - before.busy - (after.own - before.own)
  return total > 0 ? Math.max(0, others) / total : 0
}

/**
 * The reason why figures that were measured between two readings must be disregarded, as a sentence; empty if there is none.
 * @param most Background load that is allowed, in per cent.
 */
export function disturbance(before: Usage, after: Usage, most: number): string {
  if (after.total <= before.total) return 'the system does not report the processor time of other programs'
  const percent = 100 * backgroundShare(before, after)
  if (percent <= most) return ''
  return `other programs took ${percent.toFixed(1)} % of the machine meanwhile, and up to ${most} % is allowed`
}

/** Reads the usage of the machine and of these processes. @throws errors of node:fs */
export function usageOf(pids: readonly number[]): Usage {
  const own = pids.map((pid) => processUsage(readFileSync(`/proc/${pid}/stat`, 'utf8')))
  return { ...machineUsage(readFileSync('/proc/stat', 'utf8')), own: own.reduce((sum, ticks) => sum + ticks, 0) }
}

/** The peak memory of a running process, in MB of 10^6 bytes. */
export function peakMegabytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return (Number(kilobytes) * 1024) / 1e6
}
