import { stratifiedIndices } from '../data/derived.js'
import { VggError } from '../error.js'
import { unexpected } from '../options.js'
import { Random } from '../random.js'
import { countedText } from '../table.js'
import type { LabelledRows } from './data.js'
import type { FitData } from './fit.js'

/** Rows for training, and those that are held out. */
export interface Parts {
  readonly training: LabelledRows
  /** Absent if there are none. */
  readonly heldOut?: LabelledRows
}

/** Holds out the rows with these indices. @throws INVALID_ARGUMENT */
export function withoutRows(all: LabelledRows, heldOut: Int32Array): Parts {
  const chosen = new Set(heldOut)
  for (const row of chosen) {
    if (row < 0 || row >= all.labels.length) throw unexpected(`rows below ${all.labels.length}`, 'heldOut', row)
  }
  return {
    training: { ...all, rows: all.rows.filter((row) => !chosen.has(row)) },
    heldOut: { ...all, rows: all.rows.filter((row) => chosen.has(row)) },
  }
}

/** Holds out a random share of the rows of each class and stratum. */
export function divided(all: LabelledRows, share: number, seed: number): Parts {
  const count = all.rows.length
  if (share === 0 || count < 2) return { training: all }
  const groups = new Map<string, number>()
  const names = [...all.rows].map((row) => JSON.stringify([all.labels[row], all.strata?.[row]]))
  for (const name of [...new Set(names)].sort()) groups.set(name, groups.size)
  const heldOut = Math.min(count - 1, Math.max(1, Math.round(share * count)))
  const labels = Int32Array.from(names, (name) => groups.get(name) ?? 0)
  const { validation } = stratifiedIndices(labels, groups.size, heldOut, seed)
  return withoutRows(
    all,
    validation.map((position) => all.rows[position] ?? 0),
  )
}

/** The classes that rows for training have: the others take no part. @throws INVALID_ARGUMENT for fewer than two */
export function classesOf({ rows, labels, classNames }: LabelledRows): { names: string[]; numbers: number[] } {
  const counts = countsOf(rows, labels, classNames.length)
  const present = [...counts.keys()].filter((label) => (counts[label] ?? 0) > 0)
  const names = present.map((label) => classNames[label] ?? '')
  if (present.length >= 2) return { names, numbers: [...counts.keys()].map((label) => present.indexOf(label)) }
  const found =
    present.length === 0 ? 'no row has a class' : `all ${countedText(rows.length, 'row')} are of ${names[0]}`
  throw new VggError('INVALID_ARGUMENT', `Expected rows of at least two classes for training but ${found}`)
}

/** The classes of rows by their numbers among `classNames`. @throws INVALID_ARGUMENT for a class without rows for training */
export function relabelled(data: LabelledRows, classNames: readonly string[]): Int32Array {
  const numbers = data.classNames.map((name) => classNames.indexOf(name))
  const labels = data.labels.map((label) => numbers[label] ?? -1)
  const unknown = data.rows.find((row) => labels[row] === -1)
  if (unknown === undefined) return labels
  const name = data.classNames[data.labels[unknown] ?? 0]
  const message = `Expected rows for training of each class that is held out but there are none of ${name}: leave its rows out, or hold out fewer`
  throw new VggError('INVALID_ARGUMENT', message)
}

const countsOf = (rows: Int32Array, labels: Int32Array, classes: number): Int32Array => {
  const counts = new Int32Array(classes)
  for (const row of rows) counts[labels[row] ?? 0] = (counts[labels[row] ?? 0] ?? 0) + 1
  return counts
}

/**
 * The fold of each of the rows, at random, with equal shares of each class.
 * @throws INVALID_ARGUMENT for a class with fewer rows than folds
 */
export function foldsOf(
  { rows, labels, classNames }: Pick<FitData, 'rows' | 'labels'> & { classNames: readonly string[] },
  folds: number,
  seed: number,
): Int32Array {
  const counts = countsOf(rows, labels, classNames.length)
  const least = counts.indexOf(counts.reduce((fewest, count) => Math.min(fewest, count)))
  if ((counts[least] ?? 0) < folds) {
    const message = `Expected at least ${folds} rows of each class for ${folds} folds but ${classNames[least]} has ${counts[least]} for training; use fewer folds, or give one value of C`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const labelAt = (position: number): number => labels[rows[position] ?? 0] ?? 0
  const order = [...new Random(seed).permutation(rows.length)].sort((a, b) => labelAt(a) - labelAt(b))
  const found = new Int32Array(rows.length)
  for (const [dealt, position] of order.entries()) found[position] = dealt % folds
  return found
}
