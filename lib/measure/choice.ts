/** Of an even count the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return (at(Math.floor((sorted.length - 1) / 2)) + at(Math.floor(sorted.length / 2))) / 2
}

/** A size that was measured. */
export interface Candidate {
  readonly value: number
  /** Of each shape, of each round, in order; all candidates have equally many. */
  readonly milliseconds: readonly (readonly number[])[]
}

/** A candidate beside the default. */
export interface Compared {
  readonly value: number
  /** Of each shape, the median of its rounds. */
  readonly milliseconds: readonly number[]
  /** How many times as fast as the default it is: the median of the rounds, each the geometric mean of the shapes. */
  readonly ratio: number
}

/** What is faster by less is taken for chance. */
export const leastGain = 1.02

/** The candidates beside the default, which is one of them. */
export function compared(candidates: readonly Candidate[], standard: number): Compared[] {
  const base = candidates.find(({ value }) => value === standard)?.milliseconds ?? []
  return candidates.map(({ value, milliseconds }) => {
    const ofRound = (round: number): number => {
      const logarithms = milliseconds.map((times, shape) =>
        Math.log((base[shape]?.[round] ?? Number.NaN) / (times[round] ?? Number.NaN)),
      )
      return Math.exp(logarithms.reduce((sum, one) => sum + one, 0) / logarithms.length)
    }
    const rounds = (milliseconds[0] ?? []).map((_, round) => ofRound(round))
    return { value, milliseconds: milliseconds.map(median), ratio: median(rounds) }
  })
}

/** The fastest of those that are faster than the default by `leastGain`; else the default. */
export function chosen(found: readonly Compared[], standard: number): number {
  const [best] = found.filter(({ ratio }) => ratio >= leastGain).sort((a, b) => b.ratio - a.ratio)
  return best?.value ?? standard
}
