import { describe, expect, test } from 'vitest'
import { backgroundShare, disturbance, machineUsage, processUsage } from '../../lib/measure/background-load.js'
import { type Candidate, chosen, compared, median } from '../../lib/measure/interleaved.js'
import { type KeptTuning, keptIn, type TunedMachine, tuningFile } from '../../lib/platform/kept-tuning.js'
import { packageVersion } from '../../lib/platform/package.js'

test('the median of an even count lies between the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

describe('the choice', () => {
  const candidate = (value: number, ...milliseconds: number[][]): Candidate => ({ value, milliseconds })
  const choice = (candidates: readonly Candidate[]) => chosen(compared(candidates, 2), 2)

  test('is the fastest by the median of the ratios of each round', () => {
    // background load slows the second and third round down; by medians of times 1 would be as fast as 2
    const candidates = [
      candidate(1, [9, 36, 27]),
      candidate(2, [10, 40, 30]),
      candidate(4, [8, 32, 24]),
      candidate(8, [5, 80, 90]),
    ]
    expect(compared(candidates, 2).map(({ ratio }) => Number(ratio.toFixed(3)))).toEqual([1.111, 1, 1.25, 0.5])
    expect(choice(candidates)).toBe(4)
  })

  test('is the default if no candidate is faster by 2 %', () => {
    expect(choice([candidate(1, [99, 99, 99]), candidate(2, [100, 100, 100])])).toBe(2)
    expect(choice([candidate(1, [98, 98, 98]), candidate(2, [100, 100, 100])])).toBe(1)
    // twice as fast once is no median
    expect(choice([candidate(1, [50, 101, 101]), candidate(2, [100, 100, 100])])).toBe(2)
  })

  test('gives all shapes the same weight, however long they take', () => {
    const candidates = [candidate(1, [5, 5], [1100, 1100]), candidate(2, [10, 10], [1000, 1000])]
    const [first] = compared(candidates, 2)
    expect(first?.ratio).toBeCloseTo(Math.sqrt(2 / 1.1))
    expect(first?.milliseconds).toEqual([5, 1100])
  })
})

describe('background load', () => {
  test('is the processor time beyond that of the measured processes', () => {
    // 100 ticks in all: 60 user, of them 45 ours; 10 system, of them 5 ours; 10 stolen; 20 idle or waiting
    const before = { ...machineUsage('cpu  1000 10 200 5000 300 7 8 40 0 0\ncpu0 1'), own: 500 }
    const after = { ...machineUsage('cpu  1060 10 210 5015 305 7 8 50 0 0\ncpu0 1'), own: 550 }
    expect(after.total - before.total).toBe(100)
    expect(backgroundShare(before, after)).toBeCloseTo(0.3)
  })

  test('is never negative, and 0 if no time has passed', () => {
    const at = (total: number, busy: number, own: number) => ({ total, busy, own })
    expect(backgroundShare(at(0, 0, 0), at(100, 50, 52))).toBe(0)
    expect(backgroundShare(at(5, 5, 5), at(5, 5, 5))).toBe(0)
  })

  test('a process may have any name', () => {
    expect(processUsage('7 (a b) R (c) S 1 7 7 0 -1 4194304 99 0 0 0 31 11 5 5 20 0 1')).toBe(42)
  })

  test('is a reason to disregard figures above the limit, and if it is unknown', () => {
    const at = (total: number, busy: number, own: number) => ({ total, busy, own })
    expect(disturbance(at(0, 0, 0), at(1000, 800, 650), 15)).toBe('')
    expect(disturbance(at(0, 0, 0), at(1000, 800, 649), 15)).toBe(
      'other programs took 15.1 % of the machine meanwhile, and up to 15 % is allowed',
    )
    expect(disturbance(at(0, 0, 0), at(0, 0, 10), 15)).toMatch(/^the system does not report/)
  })
})

describe('a kept tuning', () => {
  const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  const here: TunedMachine = { processor: 'P 1', threads: 2, isa: 'avx2', buildId: 'abc' }
  const tuning = { ownBlock: 1048576, sharedBlock: 6291456, gradientBlock: 0.5 }
  const kept: KeptTuning = { format: 1, machine: here, measured: '2026-11-23T12:00:00Z', tuning }
  const read = (change: object) => keptIn(JSON.stringify({ ...kept, ...change }), here)
  const on = (change: Partial<TunedMachine>) => read({ machine: { ...here, ...change } })

  test('is read as it was written', () => {
    expect(read({})).toEqual({ tuning })
  })

  test('of another machine, build or format is left out, in words', () => {
    expect(on({ processor: 'Q' })).toEqual({ reason: 'it belongs to another processor: "Q", not P 1' })
    expect(on({ threads: 4 })).toEqual({ reason: 'it belongs to another number of threads: 4, not 2' })
    expect(on({ isa: 'avx512_core' })).toEqual({
      reason: 'it belongs to another instruction set: "avx512_core", not avx2',
    })
    expect(on({ buildId: 'abd' })).toEqual({ reason: 'it belongs to another build: "abd", not abc' })
    expect(read({ format: 2 })).toEqual({
      reason: `its format is 2, and vggnet ${packageVersion()} reads 1; \`npx vggnet tune\` measures again`,
    })
  })

  test.each<[string, string]>([
    ['nothing', ''],
    ['half a file', JSON.stringify(kept).slice(0, 60)],
    ['no object', '[1]'],
    ['a machine of 20,000 levels', JSON.stringify({ ...kept, machine: { processor: 0 } }).replace('0', nested)],
    ['null', 'null'],
    ['no machine', JSON.stringify({ ...kept, machine: null })],
    ['no tuning', JSON.stringify({ ...kept, tuning: 3 })],
    ['a size missing', JSON.stringify({ ...kept, tuning: { ownBlock: 1048576, sharedBlock: 6291456 } })],
    ['a size as text', JSON.stringify({ ...kept, tuning: { ...tuning, ownBlock: '1048576' } })],
  ])('that is damaged is left out, in words: %s', (_, text) => {
    expect(keptIn(text, here)).toEqual({ reason: expect.stringMatching(/^it is damaged: /) })
  })

  test('lies in the per-user cache', () => {
    expect(tuningFile({ XDG_CACHE_HOME: '/xdg' })).toBe('/xdg/vggnet/tuning.json')
    expect(tuningFile({ XDG_CACHE_HOME: '/xdg', VGGNET_CACHE: '/mine' })).toBe('/mine/tuning.json')
    expect(tuningFile({})).toMatch(/\/\.cache\/vggnet\/tuning\.json$/)
  })
})
