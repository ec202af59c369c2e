// Interleaved rounds of several contenders, and statistics of their times.
import { backgroundShare, usageOf } from './background-load.js'

/** A program that runs a case: this library or a baseline. */
export interface Contender {
  /** Its process, if it does not run in this one. */
  readonly pid?: number
  /** Runs as often as fits into the given milliseconds, at least once. Returns the mean milliseconds of a run. */
  round(milliseconds: number): Promise<number>
}

/** Milliseconds of a run. */
export interface Times {
  readonly minimumMs: number
  readonly medianMs: number
  /** Time of each round, in order. */
  readonly roundsMs: readonly number[]
}

export interface RoundSettings {
  /** Maximum number of rounds. */
  readonly rounds: number
  /** Milliseconds of one round. */
  readonly milliseconds: number
  /** Called before each round with its index. The rounds end if it returns false. Default: never. */
  readonly wanted?: (round: number) => boolean
}

/** The median; of an even count the mean of the two values in the middle, and NaN if there are no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return (at(Math.floor((sorted.length - 1) / 2)) + at(Math.floor(sorted.length / 2))) / 2
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const timesOf = (milliseconds: readonly number[]): Times => ({
  minimumMs: milliseconds.length === 0 ? Number.NaN : Math.min(...milliseconds),
  medianMs: median(milliseconds),
  roundsMs: milliseconds,
})

/**
 * How many times as fast `ours` is as `theirs`: the median of the ratios of each round. A slowdown that affects both in a
 * round does not change it.
 */
export function medianRatio(ours: Times, theirs: Times): number {
  return median(ours.roundsMs.map((own, round) => (theirs.roundsMs[round] ?? Number.NaN) / own))
}

/**
 * Runs the contenders alternately, so that a falling clock rate or a busy neighbour affects all of them.
 * @returns The times of each contender, in their order, and the background load of every single round, 0 to 1.
 */
export async function interleaved<const Contenders extends readonly Contender[]>(
  contenders: Contenders,
  { rounds, milliseconds, wanted = () => true }: RoundSettings,
): Promise<{ times: { [Index in keyof Contenders]: Times }; backgroundLoads: number[] }> {
  const pids = [process.pid, ...contenders.flatMap(({ pid }) => pid ?? [])]
  const times = contenders.map((): number[] => [])
  const backgroundLoads: number[] = []
  for (let round = 0; round < rounds && wanted(round); round++) {
    for (const [index, contender] of contenders.entries()) {
      const before = usageOf(pids)
      times[index]?.push(await contender.round(milliseconds))
      backgroundLoads.push(backgroundShare(before, usageOf(pids)))
    }
  }
  return { times: times.map(timesOf) as { [Index in keyof Contenders]: Times }, backgroundLoads }
}

/** The times of a candidate for a block size. */
export interface Candidate {
  readonly value: number
  /** Time by shape and round. All candidates have the same number of rounds. */
  readonly milliseconds: readonly (readonly number[])[]
}

/** A candidate compared with the default. */
export interface Compared {
  readonly value: number
  /** Median time of each shape. */
  readonly milliseconds: readonly number[]
  /** How many times as fast as the default it is: the median over the rounds of the geometric mean over the shapes. */
  readonly ratio: number
}

/** A smaller gain counts as noise. */
const leastGain = 1.02

/** Compares the candidates with the default, which is one of them. */
export function compared(candidates: readonly Candidate[], standard: number): Compared[] {
  const base = candidates.find(({ value }) => value === standard)?.milliseconds ?? []
  return candidates.map(({ value, milliseconds }) => {
    const ratioOf = (round: number): number => {
      const logarithms = milliseconds.map((times, shape) =>
        Math.log((base[shape]?.[round] ?? Number.NaN) / (times[round] ?? Number.NaN)),
      )
      return Math.exp(mean(logarithms))
    }
    const rounds = (milliseconds[0] ?? []).map((_, round) => ratioOf(round))
    return { value, milliseconds: milliseconds.map(median), ratio: median(rounds) }
  })
}

/** The fastest candidate that is faster than the default by `leastGain`; otherwise the default. */
export function chosen(candidates: readonly Compared[], standard: number): number {
  const [best] = candidates.filter(({ ratio }) => ratio >= leastGain).sort((a, b) => b.ratio - a.ratio)
  return best?.value ?? standard
}
