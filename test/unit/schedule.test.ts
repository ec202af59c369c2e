import { describe, expect, test } from 'vitest'
import { afterEpoch, rateAt, type Schedule, scheduleCheck, scheduleStart } from '../../lib/train/schedule.js'

/** The rate used in each epoch while the validation accuracy is as given, until the schedule ends the training. */
function ratesOver(schedule: Schedule, accuracies: readonly number[]): number[] {
  const rates: number[] = []
  let state = scheduleStart()
  for (const [epoch, accuracy] of accuracies.entries()) {
    if (state.ended) break
    rates.push(rateAt(schedule, state, 0.01, epoch, accuracies.length))
    state = afterEpoch(schedule, state, accuracy)
  }
  return rates
}

describe('plateau', () => {
  const schedule: Schedule = { kind: 'plateau', patience: 2, drops: 3, divisor: 10 }

  test('the rate drops three times and the fourth plateau ends the training, as in the paper', () => {
    const flat = new Array<number>(20).fill(0.5)
    const rates = ratesOver(schedule, flat)
    expect(rates).toHaveLength(9)
    const expected = [1e-2, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]
    rates.forEach((rate, epoch) => {
      expect(rate).toBeCloseTo(expected[epoch] ?? 0, 12)
    })
  })

  test('an improvement restarts the patience, an equal accuracy is none', () => {
    expect(ratesOver(schedule, [0.1, 0.2, 0.2, 0.3, 0.3, 0.4])).toEqual([0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
    expect(ratesOver(schedule, [0.2, 0.2, 0.2, 0.2]).at(-1)).toBeCloseTo(0.001, 12)
  })

  test('state is plain data', () => {
    const state = afterEpoch(schedule, scheduleStart(), 0.5)
    expect(JSON.parse(JSON.stringify(state))).toEqual({ best: 0.5, stale: 0, drops: 0, ended: false })
  })
})

test('constant and step', () => {
  expect(ratesOver({ kind: 'constant' }, [0.1, 0.1, 0.1])).toEqual([0.01, 0.01, 0.01])
  expect(ratesOver({ kind: 'step', every: 2, divisor: 2 }, [0, 0, 0, 0, 0])).toEqual([0.01, 0.01, 0.005, 0.005, 0.0025])
})

test('milestones multiply the rate by a factor after each', () => {
  const schedule: Schedule = { kind: 'milestones', at: [2, 3], factor: 0.5 }
  expect(ratesOver(schedule, [0, 0, 0, 0, 0])).toEqual([0.01, 0.01, 0.005, 0.0025, 0.0025])
  expect(rateAt(schedule, scheduleStart(), 0.01, 1.99, 5)).toBe(0.01)
})

test('cosine without a warm-up starts at the full rate', () => {
  const schedule = scheduleCheck({ kind: 'cosine', warmup: 0 }, 'schedule') as Schedule
  const at = (epoch: number): number => rateAt(schedule, scheduleStart(), 1, epoch, 4)
  expect([at(0), at(2), at(4)]).toEqual([1, expect.closeTo(0.5), expect.closeTo(0)])
})

test('cosine rises linearly, then falls to 0', () => {
  const schedule: Schedule = { kind: 'cosine', warmup: 1 }
  const at = (epoch: number): number => rateAt(schedule, scheduleStart(), 1, epoch, 5)
  expect(at(0)).toBeCloseTo(0.01)
  expect(at(0.5)).toBeCloseTo(0.5)
  expect(at(1)).toBeCloseTo(1)
  expect(at(3)).toBeCloseTo(0.5)
  expect(at(2)).toBeCloseTo(0.5 + Math.SQRT1_2 / 2)
  expect(at(5)).toBeCloseTo(0)
})

describe('as an option', () => {
  test('a kind alone has the defaults', () => {
    expect(scheduleCheck('plateau', 'schedule')).toEqual({
      kind: 'plateau',
      patience: undefined,
      drops: 3,
      divisor: 10,
    })
    expect(scheduleCheck({ kind: 'step', every: 5 }, 'schedule')).toEqual({ kind: 'step', every: 5, divisor: 10 })
    const milestones = { kind: 'milestones', at: [30, 60] }
    expect(scheduleCheck(milestones, 'schedule')).toEqual({ ...milestones, factor: 0.1 })
  })

  test.each([
    ['plateu', /did you mean 'plateau'/],
    [{ kind: 'plateau', patiense: 3 }, /did you mean 'patience'/],
    [{ kind: 'plateau', patience: 0 }, /integer of at least 1 for schedule \(plateau\).patience/],
    [{ kind: 'constant', every: 3 }, /no every \(--every\) for the schedule constant: it is for step/],
    [{ kind: 'step', divisor: -1 }, /above 0 for schedule \(step\).divisor/],
    [
      'milestones',
      /epochs in rising order, such as \[30, 60\] \(--at 30,60\), for schedule \(milestones\).at but received undefined/,
    ],
    [{ kind: 'milestones', at: [] }, /rising order/],
    [{ kind: 'milestones', at: [3, 3] }, /rising order/],
    [{ kind: 'milestones', at: [0, 3] }, /integer of at least 1 for schedule \(milestones\).at\[0\]/],
    [{ kind: 'milestones', at: 3 }, /rising order/],
    [{ kind: 'cosine', warmup: -1 }, /at least 0 for schedule \(cosine\).warmup/],
    [3, /schedule/],
    [{}, /schedule.kind/],
  ])('%j is refused by name', (option, message) => {
    expect(() => scheduleCheck(option, 'schedule')).toThrow(message)
  })
})
