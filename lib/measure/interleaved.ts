import { median } from './choice.js'

/** One that runs a case: this library, PyTorch in one of its ways, or another. */
export interface Contender {
  readonly name: string
  /** Milliseconds of one run, the mean of as many runs as fit. */
  round(milliseconds: number): Promise<number>
}

export interface Times {
  readonly minimumMs: number
  readonly medianMs: number
  /** Of each round, in order. */
  readonly roundsMs: readonly number[]
}

export const timesOf = (milliseconds: readonly number[]): Times => ({
  minimumMs: milliseconds.length === 0 ? Number.NaN : Math.min(...milliseconds),
  medianMs: median(milliseconds),
  roundsMs: milliseconds,
})

/**
 * How many times as fast `ours` is as `theirs`: the median over the rounds of the two's ratio in one round, which what slows
 * both of them down for a while does not change.
 */
export function medianRatio(ours: Times, theirs: Times): number {
  return median(ours.roundsMs.map((own, round) => (theirs.roundsMs[round] ?? Number.NaN) / own))
}

/** Rounds in turns, so that a clock that falls or a busy neighbour meets everybody. */
export async function interleaved(
  contenders: readonly Contender[],
  rounds: number,
  milliseconds: number,
): Promise<Map<string, Times>> {
  const found = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) found.get(contender.name)?.push(await contender.round(milliseconds))
  }
  return new Map([...found].map(([name, times]) => [name, timesOf(times)]))
}
