import { expect, test } from 'vitest'
import { only, outcomesOf, wrongOf } from './preloaded.js'

const names = [
  ['create', 'forward', 'backward', 'step', 'read parameters', 'freeze', 'decode a JPEG'],
  ['first forward', 'first step', 'update', 'set parameters', 'save', 'load', 'describe', 'rescale a PNG'],
]
/** Allocations of a work that are made to fail in the whole campaign. */
const most = 500

/**
 * An allocation of the addon or of libjpeg-turbo fails, once or from then on. The call rejects with OUT_OF_MEMORY and has changed
 * nothing, or succeeds; done again it gives the same bits.
 */
test('an allocation that fails in each work', async () => {
  const outcomes = await outcomesOf('allocations', names, [String(most)])
  expect(wrongOf('allocation', outcomes)).toEqual([])
  if (only === '') expect(outcomes.filter(({ result }) => result === 'OUT_OF_MEMORY').length).toBeGreaterThan(20)
}, 14_400_000)
