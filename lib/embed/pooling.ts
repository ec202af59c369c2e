import { setImmediate as nextTurn } from 'node:timers/promises'
import { VggError } from '../error.js'
import { type Tensor, valuesOf } from '../tensor.js'
import type { FeatureColumns, Transform } from './feature-description.js'

/** Where the pooled values of a tensor are added. */
export interface PooledInto {
  /** The columns of the tensor. */
  readonly columns: readonly FeatureColumns[]
  readonly transform: Transform
  /** The sums of all images. */
  readonly sums: Float64Array
  /** Start of the row of each image of the tensor in the sums. */
  readonly starts: ArrayLike<number>
  /** Factor of each value. */
  readonly weight: number
  nameOf(image: number): string
}

/** Values after which the event loop runs. */
const valuesInTurn = 2 ** 22

/**
 * Pools each channel of a tensor over space, and adds the results to the rows of its images. Sums are in float64.
 * @param tensor [n, c, h, w], or [n, c]
 * @throws NOT_FINITE
 */
export async function addPooled(tensor: Tensor<'float32'>, into: PooledInto): Promise<void> {
  const [images = 0, channels = 0, height = 1, width = 1] = tensor.shape
  const values = valuesOf(tensor)
  const area = height * width
  let left = valuesInTurn
  for (let image = 0; image < images; image++) {
    addImage(values.subarray(image * channels * area, (image + 1) * channels * area), area, image, into)
    left -= channels * area
    if (left > 0) continue
    left = valuesInTurn
    await nextTurn()
  }
}

function addImage(values: Float32Array, area: number, image: number, into: PooledInto): void {
  const { columns, transform, sums, starts, weight } = into
  const start = starts[image] ?? 0
  const transformed = transform === 'log1p' ? Math.log1p : (value: number): number => value
  for (let channel = 0; channel * area < values.length; channel++) {
    let sum = 0
    let max = Number.NEGATIVE_INFINITY
    for (let at = channel * area; at < (channel + 1) * area; at++) {
      const value = values[at] as number
      sum += value
      if (value > max) max = value
    }
    if (!Number.isFinite(sum)) {
      const message = `Expected finite features of ${into.nameOf(image)} but ${columns[0]?.layer} has a value that is not`
      throw new VggError('NOT_FINITE', message)
    }
    for (const { pool, start: column } of columns) {
      const position = start + column + channel
      sums[position] = (sums[position] as number) + weight * transformed(pool === 'max' ? max : sum / area)
    }
  }
}

/** Divides each row by its Euclidean length; a row of zeros stays. */
export function normaliseRows(sums: Float64Array, rowLength: number): void {
  for (let start = 0; start < sums.length; start += rowLength) {
    const row = sums.subarray(start, start + rowLength)
    let squares = 0
    for (const value of row) squares += value * value
    const factor = squares === 0 ? 0 : 1 / Math.sqrt(squares)
    for (const [index, value] of row.entries()) row[index] = value * factor
  }
}
