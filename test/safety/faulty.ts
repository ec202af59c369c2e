// How a test arms the preloaded libraries (control.hpp), and which faults there are.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'

/** Kinds of call, in the order of a library, with the errors that such a call can come to. */
export type Faults = Readonly<Record<string, readonly string[]>>

const full = ['ENOSPC', 'EDQUOT', 'EIO']

/** Those of faults.cpp; `short`: less than was asked for. */
export const fileFaults: Faults = {
  read: ['EIO', 'EINTR', 'short'],
  write: [...full, 'EINTR', 'short'],
  open: ['EIO', 'EMFILE', 'EINTR'],
  create: [...full, 'EMFILE', 'EINTR'],
  sync: full,
  rename: full,
  link: [...full, 'EPERM'],
  mkdir: full,
  truncate: ['EIO'],
  close: full,
  remove: ['EIO'],
  copy: [...full, 'short'],
  stat: ['EIO'],
  list: ['EIO', 'EMFILE'],
  access: ['EIO'],
}

/** Those of allocations.cpp. */
export const memoryFaults: Faults = { allocate: ['ENOMEM'], map: ['ENOMEM'] }

/** A call of a work that fails, and whether all calls that can fail in this way do so from then on. */
export interface Fault {
  readonly kind: string
  /** Number of the call among those of its kind, from 1. */
  readonly call: number
  readonly fault: string
  readonly lasts: boolean
}

export const textOf = ({ kind, call, fault, lasts }: Fault): string =>
  `${kind} ${call} ${fault}${lasts ? ' from then on' : ''}`

/** Every fault of a work that makes so many calls of each kind. */
export function faultsOf(faults: Faults, calls: readonly number[]): Fault[] {
  return Object.entries(faults).flatMap(([kind, errors], index) =>
    errors.flatMap((fault) =>
      Array.from({ length: calls[index] ?? 0 }, (_, call) =>
        [false, true]
          // a call that is interrupted or cut short for ever would be repeated for ever
          .filter((lasts) => !lasts || !['EINTR', 'short'].includes(fault))
          .map((lasts) => ({ kind, call: call + 1, fault, lasts })),
      ).flat(),
    ),
  )
}

/** So many of the faults, spread evenly; or only the one of this text. */
export function chosenFaults(all: readonly Fault[], amount: number, only: string): readonly Fault[] {
  if (only !== '') return all.filter((fault) => textOf(fault) === only)
  const count = Math.min(all.length, amount)
  const positions = Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * all.length) / count))
  return positions.flatMap((position) => all[position] ?? [])
}

const kindWords = 16

/** The memory that is shared with a preloaded library. */
export class Control {
  readonly #file: number
  readonly #faults: Faults

  /** @param path the file that VGGNET_FAULTS names */
  constructor(path: string, faults: Faults) {
    this.#file = openSync(path, 'r+')
    this.#faults = faults
  }

  /** Counts calls from now on, none of which fails. */
  count(): void {
    this.#write([-1, 0, 0, 0, 0])
  }

  arm({ kind, call, fault, lasts }: Fault): void {
    const errno = fault === 'short' ? 0 : constants.errno[fault as keyof typeof constants.errno]
    const errors = Object.values(this.#faults)
    const bits = errors.reduce((sum, each, bit) => sum + (each.includes(fault) ? 1 << bit : 0), 0)
    this.#write([Object.keys(this.#faults).indexOf(kind), call, errno, lasts ? bits : 0, 0])
  }

  /** Ends the faults. @returns the number of calls that failed, and of all calls of each kind since `count` or `arm` */
  disarm(): { fired: number; calls: readonly number[] } {
    const words = new Int32Array(5 + kindWords)
    readSync(this.#file, words, 0, words.byteLength, 0)
    this.#write([-2, 0, 0, 0, 0])
    return { fired: words[4] ?? 0, calls: [...words.subarray(5)] }
  }

  close(): void {
    closeSync(this.#file)
  }

  #write(head: readonly number[]): void {
    // none fails while the words are written
    writeSync(this.#file, Int32Array.of(-1), 0, 4, 0)
    writeSync(this.#file, Int32Array.from([...head.slice(1), ...Array(kindWords).fill(0)]), 0, 4 * (4 + kindWords), 4)
    writeSync(this.#file, Int32Array.of(head[0] ?? -1), 0, 4, 0)
  }
}
