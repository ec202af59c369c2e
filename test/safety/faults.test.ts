import { expect, test } from 'vitest'
import { only, outcomesOf, wrongOf } from './preloaded.js'

const names = [
  ['train', 'cache', 'report', 'load weights', 'save'],
  ['resume', 'frozen features', 'import', 'load a run', 'read images'],
]

/**
 * A call on a file fails, once or from then on, or reads or writes less than it was asked to. The work ends with a VggError or
 * goes on; the files from before are those of before or those of an undisturbed work; done again it gives the same bytes.
 */
test('a fault of the file system in each work', async () => {
  const outcomes = await outcomesOf('faults', names, [])
  expect(wrongOf('faults', outcomes)).toEqual([])
  // the order of reads that run at once is not always the same
  expect(outcomes.filter(({ fired }) => fired).length).toBeGreaterThan(0.8 * outcomes.length)
  if (only === '') expect(outcomes.length).toBeGreaterThanOrEqual(names.flat().length)
}, 14_400_000)
