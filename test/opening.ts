import type { RunOptions } from '../lib/network/open.js'
import type { Precision } from './compare.js'

/** A device and how it computes. */
export type TestDevice = 'cpu' | 'cuda' | 'cuda-tf32' | 'cuda-bf16'

/** What opens it. */
export const opening: Readonly<Record<TestDevice, Pick<RunOptions, 'device' | 'precision'>>> = {
  cpu: { device: 'cpu' },
  cuda: { device: 'cuda', precision: 'float32' },
  'cuda-tf32': { device: 'cuda', precision: 'tf32' },
  'cuda-bf16': { device: 'cuda', precision: 'bf16' },
}

/** What opens it where equal runs are to give equal bits. */
export const repeatable = (device: TestDevice) => ({ ...opening[device], deterministic: true }) as const

export const precisionOf = (device: TestDevice): Precision => opening[device].precision ?? 'float32'
