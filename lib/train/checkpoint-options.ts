import { type Check, callback, filePath, integer, optional, positive, readOptions, withDefault } from '../options.js'

/**
 * Where and when a training is saved: at the end of each epoch in any case, and at its end. The files are
 * `step-00000123.safetensors`, and `best.safetensors` for the one of the best validation accuracy.
 */
export interface CheckpointOptions {
  /** Made where it is not there. One training at a time writes in it. */
  folder: string
  /** After each step whose number is a multiple of this. Default: never. */
  everySteps?: number
  /** So many minutes after the last one. Default 10, or never with `everySteps`. */
  everyMinutes?: number
  /** How many are left, from 1; the best stays besides. Default 2. */
  keep?: number
  /** Called before a checkpoint is put in its position, and waited for: to sync a log that must not fall behind it. */
  before?: () => void | Promise<void>
}

const checks = {
  folder: filePath,
  everySteps: optional(integer(1)),
  everyMinutes: optional(positive),
  keep: withDefault(integer(1), 2),
  before: optional(callback<() => void | Promise<void>>()),
}

/** The options with their defaults; no `everySteps` and no `everyMinutes` are Infinity. */
export interface CheckpointSettings {
  readonly folder: string
  readonly everySteps: number
  readonly everyMinutes: number
  readonly keep: number
  readonly before: (() => void | Promise<void>) | undefined
}

export const checkpointCheck: Check<CheckpointSettings> = (value, name) => {
  const { everySteps, everyMinutes, ...rest } = readOptions(value, name, checks)
  const minutes = everyMinutes ?? (everySteps === undefined ? 10 : Number.POSITIVE_INFINITY)
  return { ...rest, everySteps: everySteps ?? Number.POSITIVE_INFINITY, everyMinutes: minutes }
}
