import { getHeapStatistics } from 'node:v8'
import { VggError } from '../error.js'
import { bytesText } from '../table.js'

/** Results of one class. */
export interface ClassResult {
  /** Name of the class. */
  readonly name: string
  /** Number of images of this class. */
  readonly count: number
  /** Number of these images that were classified correctly. */
  readonly correct: number
  /** Recall: correct / count; 0 for a class without images. */
  readonly accuracy: number
}

/** What the cells of a confusion matrix give. */
export interface Confusion {
  readonly perClass: readonly ClassResult[]
  readonly confusion: readonly (readonly number[])[]
}

/**
 * The cells of a confusion matrix that are not 0, in the order of its rows: int32 [n, 3] of class, answer and number of
 * images. A matrix of 5,000 classes has 25 million cells, of which an evaluation fills at most as many as it has images.
 */
export type ConfusionCells = Int32Array

/** The cells of metrics that were made here, whose matrix need not be made to read them. */
const cellsBy = new WeakMap<object, ConfusionCells>()

/** The cells of metrics. */
export const cellsOf = (metrics: Pick<Confusion, 'confusion'>): ConfusionCells =>
  cellsBy.get(metrics) ?? sparse(metrics.confusion)

const sparse = (confusion: Confusion['confusion']): ConfusionCells =>
  Int32Array.from(
    confusion.flatMap((row, truth) => row.flatMap((count, answer) => (count === 0 ? [] : [truth, answer, count]))),
  )

/** Calls `use` for each cell, in the order of the rows. */
export function forEachCell(cells: ConfusionCells, use: (truth: number, answer: number, images: number) => void): void {
  for (let at = 0; at < cells.length; at += 3) use(cells[at] ?? 0, cells[at + 1] ?? 0, cells[at + 2] ?? 0)
}

/** Completes metrics by the results of each class and the confusion matrix, which are made from the cells when they are read. */
export function withConfusion<Figures extends object>(
  figures: Figures,
  classNames: readonly string[],
  cells: ConfusionCells,
): Figures & Confusion {
  const perClass = whileUsed(() => resultsOf(classNames, cells))
  const confusion = whileUsed(() => matrixOf(classNames.length, cells))
  const metrics = {
    ...figures,
    get perClass() {
      return perClass()
    },
    get confusion() {
      return confusion()
    },
  }
  cellsBy.set(metrics, cells)
  return metrics
}

/** The figures of metrics, without what is made from cells that need no check; undefined for metrics of another origin. */
export function figuresWithoutCells(metrics: object): object | undefined {
  if (!cellsBy.has(metrics)) return undefined
  const names = Object.keys(metrics).filter((name) => name !== 'perClass' && name !== 'confusion')
  return Object.fromEntries(names.map((name) => [name, Reflect.get(metrics, name)]))
}

/** Makes a value at the first call. It is kept while the caller uses it, and made again after its memory was freed. */
function whileUsed<T extends object>(make: () => T): () => T {
  let kept: WeakRef<T> | undefined
  return () => {
    const known = kept?.deref()
    if (known !== undefined) return known
    const made = make()
    kept = new WeakRef(made)
    return made
  }
}

/** @throws OUT_OF_MEMORY where the heap of this process cannot have it */
function matrixOf(classes: number, cells: ConfusionCells): number[][] {
  const [bytes, { heap_size_limit: most }] = [8 * classes ** 2, getHeapStatistics()]
  if (bytes > most) {
    const message = `Expected room for a confusion matrix of ${classes} classes, which takes ${bytesText(bytes)}, but this process may have ${bytesText(most)}`
    throw new VggError('OUT_OF_MEMORY', `${message}; run it with node --max-old-space-size`)
  }
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  forEachCell(cells, (truth, answer, images) => {
    const row = matrix[truth]
    if (row !== undefined) row[answer] = images
  })
  return matrix
}

function resultsOf(classNames: readonly string[], cells: ConfusionCells): ClassResult[] {
  const [counts, correct] = [new Float64Array(classNames.length), new Float64Array(classNames.length)]
  forEachCell(cells, (truth, answer, images) => {
    counts[truth] = (counts[truth] ?? 0) + images
    if (answer === truth) correct[truth] = images
  })
  return classNames.map((name, index) => {
    const [count = 0, right = 0] = [counts[index], correct[index]]
    return { name, count, correct: right, accuracy: count === 0 ? 0 : right / count }
  })
}
