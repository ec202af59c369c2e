/**
 * How far two arrays may lie apart: |actual - expected| <= absolute + relative * scale, where the scale is the largest
 * finite magnitude among the expected values.
 */
export interface Tolerance {
  readonly relative?: number
  readonly absolute?: number
}

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
  for (let i = 0; i < actual.length; i++) {
    const here = shareOf(actual[i], expected[i], allowed)
    if (here > share) [share, index] = [here, i]
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
