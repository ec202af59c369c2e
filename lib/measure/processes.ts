// What Linux tells of processes: the load of others meanwhile, and the most memory that one has held.
import { readFileSync } from 'node:fs'
import { backgroundShare, usageOf } from './background-load.js'
import type { Contender } from './interleaved.js'

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
        this.#shares.push(backgroundShare(before, usageOf(this.#pids)))
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
