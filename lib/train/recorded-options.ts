import type { NotFinite } from './not-finite.js'
import type { Schedule } from './schedule.js'

/** The options that decide what a training computes: plain data, kept in its checkpoints. */
export interface RecordedOptions {
  readonly epochs: number
  readonly batch: number
  /** null: the batch */
  readonly microBatch: number | null
  readonly learningRate: number
  readonly momentum: number
  readonly weightDecay: number
  /** By layer. */
  readonly rates: Readonly<Record<string, number>>
  readonly freeze: readonly string[]
  readonly schedule: Schedule
  readonly seed: number
  readonly shift: number
  readonly background: number
  readonly onNotFinite: NotFinite
}
