import { VggError } from '../error.js'
import type { CpuTuning, NativeNetwork } from '../platform/native.js'

/** What a network was opened with that its results depend on, besides device, precision and determinism. */
export interface OpenedRun {
  /** Of initial weights and dropout. */
  readonly seed: number
  /** Of the cpu, as they are: one for each processor where none were asked for. */
  readonly threads: number
  /** Direct convolutions only. */
  readonly exact: boolean
  /** Of the cpu, by which sums are ordered; null on a card. */
  readonly tuning: CpuTuning | null
}

const runs = new WeakMap<NativeNetwork, OpenedRun>()

export function recordRun(network: NativeNetwork, run: OpenedRun): void {
  runs.set(network, run)
}

/** What a native network was opened with. */
export function openedRun(network: NativeNetwork): OpenedRun {
  const run = runs.get(network)
  if (run === undefined) throw new VggError('INTERNAL', 'Expected a network that openNative opened')
  return run
}
