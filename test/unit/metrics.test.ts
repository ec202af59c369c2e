import { describe, expect, test } from 'vitest'
import { Tally } from '../../lib/evaluate/metrics.js'

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']

/** Logits of one image: class -> score, the rest -10. */
function row(scores: Record<number, number>): number[] {
  return names.map((_, index) => scores[index] ?? -10)
}

describe('Tally', () => {
  test('top-1, top-5, per class and confusion', () => {
    const tally = new Tally(names)
    tally.add(
      Float32Array.from([
        ...row({ 0: 5, 1: 4 }), // 0, right
        ...row({ 1: 9, 2: 8, 3: 7, 4: 6, 0: 5 }), // 0, fifth
        ...row({ 1: 9, 2: 8, 3: 7, 4: 6, 5: 5, 0: 4 }), // 0, sixth
      ]),
      Int32Array.of(0, 0, 0),
    )
    tally.add(Float32Array.from(row({ 6: 1 })), Int32Array.of(6))
    const metrics = tally.metrics()
    expect(metrics).toMatchObject({ count: 4, top1: 0.5, top5: 0.75 })
    expect(metrics.perClass[0]).toEqual({ name: 'a', count: 3, correct: 1, accuracy: 1 / 3 })
    expect(metrics.perClass[1]).toEqual({ name: 'b', count: 0, correct: 0, accuracy: 0 })
    expect(metrics.perClass[6]).toEqual({ name: 'g', count: 1, correct: 1, accuracy: 1 })
    expect(metrics.confusion[0]).toEqual([1, 2, 0, 0, 0, 0, 0])
    expect(metrics.confusion.flat().reduce((sum, cell) => sum + cell)).toBe(4)
  })

  test('the loss is the mean cross-entropy, also of large scores', () => {
    const tally = new Tally(['a', 'b', 'c'])
    tally.add(Float32Array.of(0, 0, 0, 1000, 0, 0), Int32Array.of(1, 1))
    expect(tally.metrics().loss).toBeCloseTo((Math.log(3) + 1000) / 2, 4)
  })

  test('of equal scores the first is the prediction: a dead network is not always correct', () => {
    const tally = new Tally(names)
    const dead = new Float32Array(names.length * names.length)
    tally.add(dead, Int32Array.from(names.keys()))
    expect(tally.metrics()).toMatchObject({ top1: 1 / 7, top5: 5 / 7 })
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is an error, not a prediction', (value) => {
    const tally = new Tally(['a', 'b'])
    expect(() => tally.add(Float32Array.of(0, value), Int32Array.of(1))).toThrow(/finite/)
  })

  test('wrong lengths and labels', () => {
    const tally = new Tally(['a', 'b'])
    expect(() => tally.add(new Float32Array(3), Int32Array.of(0))).toThrow(/1 x 2 logits/)
    expect(() => tally.add(new Float32Array(2), Int32Array.of(2))).toThrow(/0 to 1/)
  })
})
