import { VggError } from '../../error.js'
import { arrayOf, finite, isObject, nonNegative, unexpected } from '../../options.js'
import type { Random } from '../../random.js'

/**
 * The random colour shift of Krizhevsky et al. 2012, Sect. 4.1, which the paper uses too (Sect. 3.1): a shift along the
 * principal axes of the RGB values of the training set, in the scale 0 to 255. Plain data, stored with a model.
 *
 * A hazard: the article adds p_i a_i lambda_i and calls lambda_i the eigenvalues of the covariance of the RGB values. In
 * the scale 0 to 255 these are variances in the thousands, and with a of 0.1 the shift would be hundreds of grey levels.
 * The numbers in general use ([0.2175, 0.0188, 0.0045] for ImageNet in the scale 0 to 1) are their square roots, the
 * standard deviations along the axes. So are the `values` here.
 */
export interface ColourShift {
  /** Standard deviations of the pixels along the three axes, in grey levels, largest first. */
  readonly values: readonly number[]
  /** The axes: `vectors[i]` is the unit vector (red, green, blue) of `values[i]`. */
  readonly vectors: readonly (readonly number[])[]
  /** Standard deviation of the random factor of each axis. The article's is 0.1. */
  readonly deviation: number
}

type Matrix = number[][]

/** Checks that a value has the form of a {@link ColourShift}. */
export function colourShiftCheck(value: unknown, name: string): ColourShift {
  if (!isObject(value)) throw unexpected('{ values, vectors, deviation }', name, value)
  const values = arrayOf(nonNegative)(value.values, `${name}.values`)
  const vectors = arrayOf(arrayOf(finite))(value.vectors, `${name}.vectors`)
  const deviation = nonNegative(value.deviation, `${name}.deviation`)
  const whole = values.length === 3 && vectors.length === 3 && vectors.every((vector) => vector.length === 3)
  if (!whole) throw unexpected('three values and three vectors of three numbers', name, value)
  return { values, vectors, deviation }
}

/**
 * Draws the colour shift of one image: [red, green, blue] in grey levels, the sum over the axes of vector * value * a,
 * with a ~ N(0, deviation). Always draws six numbers.
 */
export function drawColourShift(random: Random, shift: ColourShift): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0]
  for (const [axis, vector] of shift.vectors.entries()) {
    const along = random.normal() * shift.deviation * (shift.values[axis] ?? 0)
    for (const channel of [0, 1, 2] as const) sum[channel] += along * (vector[channel] ?? 0)
  }
  return sum
}

/**
 * Computes the colour shift for images from the covariance of their pixels.
 *
 * @param covariance 3x3, in the scale 0 to 255, as `statisticsOf` returns it
 * @param deviation standard deviation of the random factors; the article's is 0.1
 * @throws VggError INVALID_ARGUMENT if the matrix is not 3x3, finite and symmetric
 */
export function colourShiftOf(covariance: readonly (readonly number[])[], deviation = 0.1): ColourShift {
  const matrix = arrayOf(arrayOf(finite))(covariance, 'covariance')
  const symmetric = matrix.every((row, i) => row.length === 3 && row.every((value, j) => value === matrix[j]?.[i]))
  if (matrix.length !== 3 || !symmetric) throw unexpected('a symmetric matrix of 3x3', 'covariance', covariance)
  const { values, vectors } = eigenOfSymmetric(matrix)
  // Rounding can make a variance of 0 negative.
  return {
    values: values.map((value) => Math.sqrt(Math.max(0, value))),
    vectors,
    deviation: nonNegative(deviation, 'deviation'),
  }
}

/**
 * Computes eigenvalues, largest first, and eigenvectors of a symmetric matrix by Jacobi rotations. The result is the same
 * on every machine. The largest component of each vector is positive.
 */
export function eigenOfSymmetric(symmetric: readonly (readonly number[])[]): { values: number[]; vectors: Matrix } {
  const size = symmetric.length
  const matrix = symmetric.map((row) => [...row])
  // The vectors are rows: vectors[i] belongs to matrix[i][i].
  const vectors = symmetric.map((_, i) => symmetric.map((_, j) => (i === j ? 1 : 0)))
  // Convergence is quadratic: five or six sweeps reach the last bit, and then every entry off the diagonal is 0.
  for (let sweep = 0; sweep < 50; sweep++) {
    let rotated = false
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) rotated = rotate(matrix, vectors, p, q) || rotated
    }
    if (!rotated) return sortedPairs(matrix, vectors)
  }
  throw new VggError('INTERNAL', 'The eigenvalues of a symmetric matrix were not found in 50 sweeps')
}

/** Makes the entry (p, q) 0; returns false if it is negligible beside the diagonal already. */
function rotate(matrix: Matrix, vectors: Matrix, p: number, q: number): boolean {
  const entry = (i: number, j: number) => matrix[i]?.[j] ?? 0
  const off = entry(p, q)
  if (Math.abs(off) <= Number.EPSILON * 1e-3 * Math.sqrt(Math.abs(entry(p, p) * entry(q, q)))) return false
  const theta = (entry(q, q) - entry(p, p)) / (2 * off)
  const tangent = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
  const cosine = 1 / Math.sqrt(tangent * tangent + 1)
  const sine = tangent * cosine
  const turn = (rows: Matrix) => {
    const [one = [], other = []] = [rows[p], rows[q]]
    for (const [k, a] of [...one.entries()]) {
      const b = other[k] ?? 0
      one[k] = cosine * a - sine * b
      other[k] = sine * a + cosine * b
    }
  }
  turn(matrix)
  for (const row of matrix) {
    const [a = 0, b = 0] = [row[p], row[q]]
    row[p] = cosine * a - sine * b
    row[q] = sine * a + cosine * b
  }
  for (const [i, j] of [
    [p, q],
    [q, p],
  ] as const)
    if (matrix[i]) matrix[i][j] = 0
  turn(vectors)
  return true
}

function sortedPairs(matrix: Matrix, vectors: Matrix): { values: number[]; vectors: Matrix } {
  const pairs = vectors.map((vector, i) => ({ value: matrix[i]?.[i] ?? 0, vector: withPositiveLargest(vector) }))
  pairs.sort((a, b) => b.value - a.value)
  return { values: pairs.map(({ value }) => value), vectors: pairs.map(({ vector }) => vector) }
}

function withPositiveLargest(vector: readonly number[]): number[] {
  const largest = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0)
  return vector.map((value) => (largest < 0 ? -value : value))
}
