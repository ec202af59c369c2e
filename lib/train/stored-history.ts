import type { Tables } from '../checkpoint/training-file.js'
import { type ConfusionCells, cellsOf, withConfusion } from '../evaluate/confusion.js'
import type { Evaluation } from '../evaluate/evaluate.js'
import { isObject, unexpected } from '../options.js'
import { isWithoutMatrix, type PastEpoch, withoutMatrix } from './past-epochs.js'

/** The metrics of an epoch as a state in a checkpoint has them. */
type StoredValidation = Omit<Evaluation, 'perClass' | 'confusion'> & {
  /** Whether the confusion matrix is in a table. Default true. */
  readonly hasTable?: boolean | undefined
}

/** An epoch as a state in a checkpoint has it. */
export type StoredEpoch = Omit<PastEpoch, 'validation'> & { readonly validation?: StoredValidation | undefined }

// Keys in the order of their values in a row: in JSON a key takes as long to read as many values. What may be absent is last.
const imageKeys = ['name', 'reason', 'index', 'position']
const validationKeys = ['count', 'loss', 'top1', 'top5', 'unreadable', 'hasTable']
const epochKeys = ['epoch', 'epochs', 'steps', 'learningRate', 'loss', 'accuracy'].concat([
  'skipped',
  'skippedCount',
  'refused',
  'validation',
])

function rowOf(object: object, keys: readonly string[]): unknown[] {
  const values = keys.map((key) => Reflect.get(object, key))
  while (values.at(-1) === undefined) values.pop()
  return values
}

/** The object of a row. What is no row is returned as it is: older checkpoints have objects, and others are refused by their checks. */
const objectOf = (row: unknown, keys: readonly string[]): unknown =>
  Array.isArray(row) && row.length <= keys.length
    ? Object.fromEntries(row.map((value, index) => [keys[index], value]))
    : row

const imagesOf = (rows: unknown): unknown => (Array.isArray(rows) ? rows.map((row) => objectOf(row, imageKeys)) : rows)

const tableOf = (epoch: number): string => `validation/${String(epoch).padStart(6, '0')}/confusion`

/** The history as rows, and the confusion matrices, which may have millions of cells, as tables. */
export function encodeHistory(history: readonly PastEpoch[]): { rows: unknown[]; tables: Tables } {
  const tables = new Map<string, { shape: readonly number[]; data: Int32Array }>()
  const rows = history.map(({ validation, skipped, ...epoch }) => {
    const images = skipped.map((image) => rowOf(image, imageKeys))
    if (validation === undefined) return rowOf({ ...epoch, skipped: images }, epochKeys)
    const { count, loss, top1, top5, unreadable } = validation
    const hasTable = isWithoutMatrix(validation) ? false : undefined
    const metrics = {
      count,
      loss,
      top1,
      top5,
      unreadable: unreadable.map((image) => rowOf(image, imageKeys)),
      hasTable,
    }
    const cells = cellsOf(validation)
    if (hasTable !== false) tables.set(tableOf(epoch.epoch), { shape: [cells.length / 3, 3], data: cells })
    return rowOf({ ...epoch, skipped: images, validation: rowOf(metrics, validationKeys) }, epochKeys)
  })
  return { rows, tables }
}

/** The epochs of rows, unchecked. */
export const epochsOf = (rows: unknown): unknown => (Array.isArray(rows) ? rows.map(epochOf) : rows)

function epochOf(row: unknown): unknown {
  const epoch = objectOf(row, epochKeys)
  if (!isObject(epoch)) return epoch
  const validation = objectOf(epoch.validation, validationKeys)
  const metrics = isObject(validation) ? { ...validation, unreadable: imagesOf(validation.unreadable) } : validation
  return { ...epoch, skipped: imagesOf(epoch.skipped), validation: metrics }
}

/** An epoch with the confusion matrix of its table. @throws INVALID_ARGUMENT if the table is not valid */
export function withTable(epoch: StoredEpoch, classes: readonly string[], tables: Tables): PastEpoch {
  if (epoch.validation === undefined) return { ...epoch, validation: undefined }
  const { count, loss, top1, top5, unreadable, hasTable = true } = epoch.validation
  const figures = { count, loss, top1, top5, unreadable }
  if (!hasTable) return { ...epoch, validation: withoutMatrix(figures) }
  return {
    ...epoch,
    validation: withConfusion(figures, classes, checkedCells(tables, tableOf(epoch.epoch), classes.length)),
  }
}

/** @throws INVALID_ARGUMENT unless the table has cells of these classes, each once, in the order of the rows */
function checkedCells(tables: Tables, name: string, classes: number): ConfusionCells {
  const { shape, data } = tables.get(name) ?? { shape: [], data: new Int32Array() }
  if (shape.length !== 2 || shape[1] !== 3) throw unexpected('a table of three columns', name, shape)
  let before = -1
  for (let row = 0; row < data.length; row += 3) {
    const [truth = -1, answer = -1, images = 0] = data.subarray(row, row + 3)
    const cell = truth * classes + answer
    if (truth < 0 || answer < 0 || truth >= classes || answer >= classes || images < 1 || cell <= before)
      throw unexpected(`cells of ${classes} classes in order`, name, [truth, answer, images])
    before = cell
  }
  return data
}
