/** One that runs a case: this library, or PyTorch in one of its ways. */
export interface Contender {
  readonly name: string
  /** Milliseconds of one run, the mean of as many runs as fit. */
  round(milliseconds: number): Promise<number>
}

export interface Times {
  readonly minimumMs: number
  readonly medianMs: number
}

export function timesOf(milliseconds: readonly number[]): Times {
  const sorted = [...milliseconds].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return { minimumMs: at(0), medianMs: at(Math.floor(sorted.length / 2)) }
}

/** Rounds in turns, so that a clock that falls or a busy neighbour meets everybody. */
export async function inTurns(
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
