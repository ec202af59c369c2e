/** How a device stores activations and multiplies. */
export type Precision = 'float32' | 'tf32' | 'bf16'

/**
 * How far two arrays may lie apart: |actual - expected| <= absolute + relative * scale, where the scale is the largest
 * finite magnitude among the expected values; and, where `norm` is given, the difference's L2 norm over that of the
 * expected values.
 */
export interface Tolerance {
  readonly relative?: number
  readonly absolute?: number
  readonly norm?: number
}

/**
 * What another precision than float32 allows. `output` is for what runs forward, `gradient` for what comes back.
 *
 * bf16 is compared with a reference that rounds as the card does (reference/rounding.ts). The sums before rounding differ
 * by float32's error; so about one number in a thousand lies on the other side of a tie, and is 2^-8 of itself off. It
 * changes what is computed from it by as much at most, and that again. Behind a max-pool it may make another element the
 * largest, whose gradient then is another's: so of gradients only the norm is compared. A linear layer whose bias the
 * library does not add rounds once more, before it is added.
 *
 * tf32 multiplies numbers of 10 bits of mantissa, cut off or rounded: 2^-10 of each factor at most, half of it on
 * average, and the reference rounds nothing.
 */
const roughly: Readonly<Record<Exclude<Precision, 'float32'>, { output: Tolerance; gradient: Tolerance }>> = {
  bf16: { output: { relative: 2 ** -7, norm: 1e-2 }, gradient: { relative: Number.POSITIVE_INFINITY, norm: 1e-2 } },
  tf32: { output: { relative: 2 ** -8, norm: 2e-3 }, gradient: { relative: 2 ** -8, norm: 2e-3 } },
}

/** Of outputs, losses and scores: `exactly` where the precision is float32. */
export const outputTolerance = (precision: Precision, exactly: Tolerance): Tolerance =>
  precision === 'float32' ? exactly : roughly[precision].output

/** Of gradients, velocities and what an update makes of them. */
export const gradientTolerance = (precision: Precision, exactly: Tolerance): Tolerance =>
  precision === 'float32' ? exactly : roughly[precision].gradient

export interface Comparison {
  /** Error as a share of the allowed one, at the worst index: the arrays agree up to 1. */
  readonly share: number
  readonly index: number
  readonly message: string
}

/** NaN equals nothing, infinity equals only itself. */
export function compareArrays(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
): Comparison {
  if (actual.length !== expected.length) {
    const message = `${actual.length} values where ${expected.length} were expected`
    return { share: Number.POSITIVE_INFINITY, index: -1, message }
  }
  const allowed = (tolerance.absolute ?? 0) + (tolerance.relative ?? 0) * largestOf(expected)
  let share = 0
  let index = 0
  let [difference, size] = [0, 0]
  for (let i = 0; i < actual.length; i++) {
    const here = shareOf(actual[i], expected[i], allowed)
    if (here > share) [share, index] = [here, i]
    difference += (actual[i] - expected[i]) ** 2
    size += expected[i] ** 2
  }
  const norms = Math.sqrt(difference / size)
  if (tolerance.norm !== undefined && difference > 0 && !(norms / tolerance.norm <= Math.max(1, share))) {
    const message = `in the L2 norm ${norms} of what was expected, where ${tolerance.norm} is allowed`
    return { share: Number.isNaN(norms) ? Number.POSITIVE_INFINITY : norms / tolerance.norm, index: -1, message }
  }
  const values = `${actual[index]} where ${expected[index]} was expected`
  return {
    share,
    index,
    message: `worst at index ${index}: ${values}, ${share.toPrecision(3)} of the allowed ${allowed}`,
  }
}

/** Throws with the worst index, both values and the share of the allowed error. */
export function expectClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
): void {
  const { share, message } = compareArrays(actual, expected, tolerance)
  if (share > 1) throw new Error(`${what}: ${message}`)
}

/** Throws unless every value is the same number. */
export function expectEqual(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expectClose(what, actual, expected, {})
}

function shareOf(actual: number, expected: number, allowed: number): number {
  if (actual === expected) return 0
  const error = Math.abs(actual - expected)
  return error < Number.POSITIVE_INFINITY ? error / allowed : Number.POSITIVE_INFINITY
}

function largestOf(values: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i])
    if (magnitude > largest && magnitude < Number.POSITIVE_INFINITY) largest = magnitude
  }
  return largest
}
