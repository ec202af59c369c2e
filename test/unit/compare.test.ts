import { describe, expect, test } from 'vitest'
import { compareArrays, expectClose, expectEqual } from '../compare.js'

describe('comparison of arrays', () => {
  test('takes the scale from the largest expected magnitude', () => {
    expect(compareArrays([1, -100], [0, -100], { relative: 0.02 }).share).toBeCloseTo(0.5)
    expect(compareArrays([1, -100], [0, -100], { relative: 0.02, absolute: 2 }).share).toBeCloseTo(0.25)
  })

  test('names the worst index, both values and the share', () => {
    const check = () => expectClose('logits', [1, 2, 3.5], [1, 2.5, 3.25], { absolute: 0.125 })
    expect(check).toThrow('logits: worst at index 1: 2 where 2.5 was expected, 4.00 of the allowed 0.125')
  })

  test('lets nothing equal NaN, and infinity only itself', () => {
    const generous = { absolute: 1e300 }
    expect(compareArrays([NaN], [NaN], generous).share).toBe(Infinity)
    expect(compareArrays([NaN], [0], generous).share).toBe(Infinity)
    expect(compareArrays([0, 1], [1, NaN], generous)).toMatchObject({ share: Infinity, index: 1 })
    expect(compareArrays([Infinity], [-Infinity], generous).share).toBe(Infinity)
    expect(compareArrays([7], [Infinity], { relative: 1 }).share).toBe(Infinity)
    expect(compareArrays([Infinity], [Infinity], {}).share).toBe(0)
  })

  test('compares norms where one is given, besides the elements', () => {
    const expected = [3, 4, 0]
    expect(() => expectClose('loose', [3, 4, 0.5], expected, { absolute: 1, norm: 0.125 })).not.toThrow()
    expect(() => expectClose('far', [3, 4, 0.5], expected, { absolute: 1, norm: 0.05 })).toThrow(
      /far: in the L2 norm 0.1/,
    )
    expect(() => expectClose('one', [3, 4, 0.5], expected, { absolute: 0.25, norm: 1 })).toThrow(/worst at index 2/)
    expect(() => expectClose('lost', [3, Number.NaN, 0], expected, { relative: Infinity, norm: 1 })).toThrow('lost')
    expectEqual('zeros', [0, 0], [0, 0])
    expectClose('zeros', [0, 0], [0, 0], { norm: 0.01 })
  })

  test('refuses arrays of unlike length', () => {
    expect(() => expectEqual('row', [1], [1, 2])).toThrow('row: 1 values where 2 were expected')
  })

  test('without a tolerance wants equal numbers', () => {
    expect(() => expectEqual('row', [1 + Number.EPSILON], [1])).toThrow('of the allowed 0')
    expectEqual('row', [1, 0], [1, -0])
  })
})
