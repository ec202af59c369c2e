import { largestTables } from '../checkpoint/open-file.js'
import { type Confusion, cellsOf, withConfusion } from '../evaluate/confusion.js'
import type { Evaluation } from '../evaluate/evaluate.js'
import type { EpochEvent, Skipped } from './events.js'

/** A finished epoch without its times. */
export type PastEpoch = Omit<EpochEvent, 'imagesPerSecond' | 'seconds'>

/** Most epochs of a training. With this and the limits below each of its checkpoints can be read. */
export const mostEpochs = 2 ** 15

/** Limit in bytes of the confusion matrices of all epochs, and what each takes at least: a checkpoint has a table for each. */
const matrices = { limit: largestTables, least: 2 ** 18 }
/** Limit in characters of the names and reasons of all unreadable images, and what each image takes at least. */
const names = { limit: 2 ** 20, least: 2 ** 6 }

/** The history with as many of the latest confusion matrices, and of the latest names of unreadable images, as may be kept. */
export function withinLimits(history: readonly PastEpoch[]): readonly PastEpoch[] {
  const noMatrix = lastBeyond(matrices.limit, history, ({ validation }) =>
    validation === undefined || isWithoutMatrix(validation)
      ? 0
      : Math.max(matrices.least, cellsOf(validation).byteLength),
  )
  const noNames = lastBeyond(
    names.limit,
    history,
    ({ skipped, validation }) => sizeOf(skipped) + sizeOf(validation?.unreadable ?? []),
  )
  if (noMatrix < 0 && noNames < 0) return history
  return history.map((epoch, index) => {
    const kept = index > noMatrix ? epoch : omitMatrix(epoch)
    return index > noNames ? kept : omitNames(kept)
  })
}

const sizeOf = (named: readonly Skipped[]): number =>
  named.reduce((sum, { name, reason }) => sum + Math.max(names.least, name.length + reason.length), 0)

/** Index of the last epoch whose size together with that of the later ones exceeds the limit; -1 if there is none. */
function lastBeyond(limit: number, history: readonly PastEpoch[], sizeOf: (epoch: PastEpoch) => number): number {
  let sum = 0
  return history.findLastIndex((epoch) => {
    sum += sizeOf(epoch)
    return sum > limit
  })
}

/** Whether the confusion matrix of an evaluated epoch is not kept. */
export const isWithoutMatrix = (validation: Evaluation): boolean =>
  validation.count > 0 && cellsOf(validation).length === 0

/** Metrics whose confusion matrix is not kept. */
export const withoutMatrix = <Figures extends object>(figures: Figures): Figures & Confusion =>
  withConfusion(figures, [], new Int32Array())

function omitMatrix(epoch: PastEpoch): PastEpoch {
  const { validation } = epoch
  if (validation === undefined || isWithoutMatrix(validation)) return epoch
  const { count, loss, top1, top5, unreadable } = validation
  return { ...epoch, validation: withoutMatrix({ count, loss, top1, top5, unreadable }) }
}

function omitNames(epoch: PastEpoch): PastEpoch {
  const { validation } = epoch
  const skipped: readonly Skipped[] = []
  if (validation === undefined || validation.unreadable.length === 0) {
    return epoch.skipped.length === 0 ? epoch : { ...epoch, skipped }
  }
  const { count, loss, top1, top5, perClass } = validation
  const names = perClass.map(({ name }) => name)
  return {
    ...epoch,
    skipped,
    validation: withConfusion({ count, loss, top1, top5, unreadable: [] }, names, cellsOf(validation)),
  }
}
