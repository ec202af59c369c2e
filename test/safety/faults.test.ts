import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { casesOf } from './cases.js'
import type { Line, Outcome } from './faults-program.js'
import { compiled, preloaded } from './preloaded.js'

const names = [
  ['train', 'cache', 'report', 'load weights', 'save'],
  ['resume', 'frozen features', 'import', 'load a run', 'read images'],
]
/** One fault, as 'train: write 3 EIO'. */
const [only, fault] = (process.env.VGGNET_FAULT ?? '').split(': ')

/**
 * A call on a file fails, once or from then on, or reads or writes less than it was asked to. The work ends with a VggError or
 * goes on; the files from before are those of before or those of an undisturbed work; done again it gives the same bytes.
 */
test('a fault of the file system in each work', async () => {
  const folder = newFolder()
  const library = await compiled('faults', folder)
  const amount = casesOf({ sample: 50, whole: Number.POSITIVE_INFINITY }) / names.flat().length
  const both = names.map(async (works, index) => {
    const own = path.join(folder, String(index))
    mkdirSync(own)
    const chosen = only ? works.filter((work) => work === only) : works
    const { lines, code, stderr } = await preloaded(library, 'faults-program.ts', own, [
      String(Math.ceil(amount)),
      fault ?? '',
      ...chosen,
    ])
    const last = (lines as Line[]).findLast((line) => 'begins' in line)
    expect({ code }, `${JSON.stringify(last)} ${stderr}`).toEqual({ code: 0 })
    return (lines as Line[]).filter((line): line is Outcome => 'result' in line)
  })
  const outcomes = (await Promise.all(both)).flat()
  const wrong = outcomes
    .filter((outcome) => outcome.wrong.length > 0)
    .map((outcome) => ({
      ...outcome,
      repeat: `VGGNET_FAULT='${outcome.work}: ${outcome.fault}' npm test -- test/safety/faults`,
    }))
  expect(wrong).toEqual([])
  // the order of reads that run at once is not always the same
  expect(outcomes.filter(({ fired }) => fired).length).toBeGreaterThan(0.8 * outcomes.length)
  if (only === '') expect(outcomes.length).toBeGreaterThanOrEqual(names.flat().length)
})
