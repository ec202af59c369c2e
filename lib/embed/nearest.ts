import { setImmediate as nextTurn } from 'node:timers/promises'
import { throwIfAborted, VggError } from '../error.js'
import { filePath, instanceOf, integer, optional, readOptions, unexpected, withDefault } from '../options.js'
import { shapeText, Tensor, valuesOf } from '../tensor.js'
import { FeatureFile } from './feature-file.js'

/** An image of a file of features that is near to a query. */
export interface Neighbour {
  /** Its row in the file. */
  readonly index: number
  /** Its name, such as its path. */
  readonly name: string
  /** Its class; null where it has none. */
  readonly class: string | null
  /** Cosine of the angle between its features and the query's: -1 to 1; 0 where either has only zeros. */
  readonly similarity: number
}

/** Options of `nearest`. */
export interface NearestOptions {
  /** Most neighbours of a query, from 1. Default 5. */
  top?: number | undefined
  /** Aborts the search, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
}

/** The checks of {@link NearestOptions}. */
export const nearestChecks = { top: withDefault(integer(1, 2 ** 20), 5), signal: optional(instanceOf(AbortSignal)) }

/**
 * Finds the images of a file of features that are most similar to queries: all are compared, by the cosine in float64. The file
 * is read in blocks, so that memory does not depend on its size.
 * @param file file that `vggnet embed` or `embedToFile` wrote
 * @param queries features of the same kind, [q, D] or [q, S, D], as `embed` returns them
 * @returns for each query the nearest images, the nearest first; of equal ones the first in the file
 * @throws FILE_NOT_FOUND, FILE_FORMAT, SHAPE_MISMATCH, NOT_FINITE, ABORTED
 */
export async function nearest(
  file: string,
  queries: Tensor<'float32'>,
  options?: NearestOptions,
): Promise<Neighbour[][]> {
  const { top, signal } = readOptions(options, 'nearest options', nearestChecks)
  const features = await FeatureFile.open(filePath(file, 'file'))
  try {
    const searches = searchesFor(features, queries, top)
    for await (const { first, rows } of features.blocks()) {
      throwIfAborted(signal, 'The search')
      const norms = normsOf(rows, features.rowLength)
      for (const search of searches) {
        search.compare(first, rows, norms)
        await nextTurn()
      }
    }
    return await Promise.all(searches.map(({ found }) => neighbours(features, found)))
  } finally {
    await features.close()
  }
}

/** @throws INVALID_ARGUMENT, SHAPE_MISMATCH, NOT_FINITE */
function searchesFor({ path, rowLength, description }: FeatureFile, queries: Tensor<'float32'>, top: number): Search[] {
  if (!(queries instanceof Tensor) || queries.dtype !== 'float32')
    throw unexpected('a float32 Tensor', 'queries', queries)
  const { shape } = queries
  const [count = 0, ...row] = shape
  if (row.length === 0 || row.reduce((product, length) => product * length, 1) !== rowLength) {
    const scales = description.aggregate === 'stack' ? ' (all scales together)' : ''
    const message = `Expected queries of ${rowLength} features${scales}, as ${path} has them, but received shape ${shapeText(shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const values = valuesOf(queries)
  const wrong = values.findIndex((value) => !Number.isFinite(value))
  if (wrong !== -1) {
    const message = `Expected finite features but query ${Math.floor(wrong / rowLength)} has ${values[wrong]}`
    throw new VggError('NOT_FINITE', message)
  }
  return Array.from(
    { length: count },
    (_, index) => new Search(values.subarray(index * rowLength, (index + 1) * rowLength), top),
  )
}

/** The Euclidean length of each row. */
function normsOf(rows: Float32Array, length: number): Float64Array {
  return Float64Array.from({ length: rows.length / length }, (_, row) => {
    let squares = 0
    for (let at = row * length; at < (row + 1) * length; at++) squares += (rows[at] as number) ** 2
    return Math.sqrt(squares)
  })
}

interface Found {
  readonly index: number
  readonly similarity: number
}

/** The search for the rows nearest to one query. */
class Search {
  /** The nearest rows so far, the nearest first. */
  readonly found: Found[] = []
  readonly #query: Float64Array
  readonly #norm: number
  readonly #top: number

  constructor(query: Float32Array, top: number) {
    this.#query = Float64Array.from(query)
    this.#norm = Math.sqrt(this.#query.reduce((sum, value) => sum + value * value, 0))
    this.#top = top
  }

  /** Compares rows with the query. @param first index of the first of them @param norms Euclidean length of each */
  compare(first: number, rows: Float32Array, norms: Float64Array): void {
    const query = this.#query
    const { length } = query
    for (const [row, norm] of norms.entries()) {
      const start = row * length
      let dot = 0
      for (let index = 0; index < length; index++) dot += (rows[start + index] as number) * (query[index] as number)
      const product = norm * this.#norm
      this.#add(first + row, product === 0 ? 0 : Math.max(-1, Math.min(1, dot / product)))
    }
  }

  #add(index: number, similarity: number): void {
    const { found } = this
    if (found.length === this.#top && similarity <= (found.at(-1) as Found).similarity) return
    let [low, high] = [0, found.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((found[middle] as Found).similarity >= similarity) low = middle + 1
      else high = middle
    }
    found.splice(low, 0, { index, similarity })
    if (found.length > this.#top) found.pop()
  }
}

async function neighbours(features: FeatureFile, found: readonly Found[]): Promise<Neighbour[]> {
  const { classNames } = features.description
  const named: Neighbour[] = []
  for (const { index, similarity } of found) {
    const [name = ''] = await features.readNames(index, 1)
    const [label = -1] = await features.readLabels(index, 1)
    named.push({ index, name, class: classNames[label] ?? null, similarity })
  }
  return named
}
