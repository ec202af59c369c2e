/** Figures of a list of numbers. Those that are not finite are counted, and left out of the others. */
export interface Moments {
  /** Number of all numbers. */
  readonly count: number
  /** Number of those that are NaN or infinite. */
  readonly notFinite: number
  /** Mean of the others. */
  readonly mean: number
  /** Standard deviation. */
  readonly deviation: number
  /** Largest magnitude. */
  readonly largest: number
  /** Fraction that is 0. */
  readonly zeros: number
  /** Fourth central moment over the square of the variance: 3 for normal numbers, 1.8 for uniform ones. */
  readonly kurtosis: number
}

/** Computes {@link Moments}. */
export function momentsOf(values: Float32Array): Moments {
  let [finite, sum, largest, zeros] = [0, 0, 0, 0]
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    finite += 1
    sum += value
    if (value === 0) zeros += 1
    largest = Math.max(largest, Math.abs(value))
  }
  const mean = finite === 0 ? 0 : sum / finite
  let [second, fourth] = [0, 0]
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    const square = (value - mean) ** 2
    second += square
    fourth += square * square
  }
  const variance = finite === 0 ? 0 : second / finite
  return {
    count: values.length,
    notFinite: values.length - finite,
    mean,
    deviation: Math.sqrt(variance),
    largest,
    zeros: values.length === 0 ? 0 : zeros / values.length,
    kurtosis: variance === 0 ? 0 : fourth / finite / variance ** 2,
  }
}

/** Fraction of the rows that are 0 everywhere, such as outputs without weights or channels without activity. */
export function zeroRows(values: Float32Array, rows: number): number {
  const length = values.length / rows
  const zero = Array.from({ length: rows }, (_, row) =>
    values.subarray(row * length, (row + 1) * length).every((value) => value === 0),
  )
  return zero.filter(Boolean).length / rows
}
