import { VggError } from '../error.js'
import { availableMainMemory } from '../main-memory.js'
import { native } from '../platform/native.js'
import { bytesText } from '../table.js'

/** Features of all rows, and which of them are used. The arrays do not change. */
export interface UsedRows {
  /** [n, columns]. */
  readonly features: Float32Array
  readonly columns: number
  /** Indices of the rows that are used. */
  readonly rows: Int32Array
}

/** Elements of a block of rows, which stays in a cache of the processor for both products. */
const blockElements = 2 ** 21

/** The rows in blocks. The event loop runs between two blocks if the caller awaits something in each. */
export function* rowBlocks({ rows, columns }: UsedRows): Generator<Int32Array> {
  const length = Math.max(1, Math.floor(blockElements / columns))
  for (let first = 0; first < rows.length; first += length) yield rows.subarray(first, first + length)
}

const callOf = ({ features, columns }: UsedRows, rows: Int32Array, outputs: number) => ({
  x: features,
  shape: [features.length / columns, columns, 1, 1],
  factor: 1 as const,
  rows,
  count: rows.length,
  outputs,
})

/** x weights^T of some rows, [rows, outputs]. @param weights [outputs, columns] */
export async function productsOf(all: UsedRows, rows: Int32Array, weights: Float64Array): Promise<Float64Array> {
  const outputs = weights.length / all.columns
  const values = new Float64Array(rows.length * outputs)
  await native().rowProducts({ ...callOf(all, rows, outputs), weights, values })
  return values
}

/** Adds values^T x of some rows to `sums`. @param values [rows, outputs] @param sums [outputs, columns] */
export async function addProducts(
  all: UsedRows,
  rows: Int32Array,
  values: Float64Array,
  sums: Float64Array,
): Promise<void> {
  await native().columnProducts({ ...callOf(all, rows, values.length / rows.length), values, sums })
}

/** Mean and standard deviation of each column. */
export interface Moments {
  readonly mean: Float64Array
  /** Of the population; 1 for a column without variance. */
  readonly deviation: Float64Array
}

/** The moments for features that are taken as they are. */
export const noMoments = (columns: number): Moments => ({
  mean: new Float64Array(columns),
  deviation: new Float64Array(columns).fill(1),
})

/** Computes the moments of the columns. */
export async function momentsOf(all: UsedRows): Promise<Moments> {
  const { features, columns, rows } = all
  const count = rows.length
  const mean = new Float64Array(columns)
  for (const block of rowBlocks(all))
    await addProducts(all, block, new Float64Array(block.length).fill(1 / count), mean)
  const squares = new Float64Array(columns)
  for (const block of rowBlocks(all)) {
    for (const row of block) {
      const start = row * columns
      for (let column = 0; column < columns; column++)
        squares[column] = (squares[column] ?? 0) + ((features[start + column] ?? 0) - (mean[column] ?? 0)) ** 2
    }
    await nextTurn()
  }
  const deviation = squares.map((sum, column) => {
    const rounding = count * Math.abs(mean[column] ?? 0) * Number.EPSILON
    return sum / count <= rounding ** 2 ? 1 : Math.sqrt(sum / count)
  })
  return { mean, deviation }
}

/** @throws NOT_FINITE for a feature that is NaN or infinite */
export async function checkFinite(all: UsedRows, name: string): Promise<void> {
  const { features, columns } = all
  for (const block of rowBlocks(all)) {
    for (const row of block) {
      for (let at = row * columns; at < (row + 1) * columns; at++) {
        if (Number.isFinite(features[at])) continue
        const message = `Expected finite features in ${name} but row ${row} has ${features[at]} in column ${at - row * columns}`
        throw new VggError('NOT_FINITE', message)
      }
    }
    await nextTurn()
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** @throws OUT_OF_MEMORY if float64 arrays of so many numbers do not fit into memory */
export function checkMemory(numbers: number, what: string): void {
  const [bytes, available] = [8 * numbers, availableMainMemory()]
  if (bytes <= available) return
  const message = `Expected ${bytesText(bytes)} of memory for ${what} but ${bytesText(available)} are available; use fewer columns or classes`
  throw new VggError('OUT_OF_MEMORY', message)
}
