import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { casesOf } from './cases.js'
import type { Line, Outcome } from './faults-program.js'
import { compiled, preloaded } from './preloaded.js'

const names = [
  ['create', 'forward', 'backward', 'step', 'read parameters', 'freeze', 'decode a JPEG'],
  ['first forward', 'first step', 'update', 'set parameters', 'save', 'load', 'describe', 'rescale a PNG'],
]
/** One fault, as 'step: allocate 3 ENOMEM'. */
const [only, fault] = (process.env.VGGNET_FAULT ?? '').split(': ')
/** Allocations of a work that are made to fail in the whole campaign. */
const most = 500

/**
 * An allocation of the addon or of oneDNN fails, once or from then on. The call rejects with OUT_OF_MEMORY and has changed
 * nothing, or succeeds; done again it gives the same bits.
 */
test('an allocation that fails in each work', async () => {
  const folder = newFolder()
  const library = await compiled('allocations', folder)
  const amount = casesOf({ sample: 50, whole: Number.POSITIVE_INFINITY }) / names.flat().length
  const both = names.map(async (works, index) => {
    const own = path.join(folder, String(index))
    mkdirSync(own)
    const chosen = only ? works.filter((work) => work === only) : works
    const words = [String(Math.ceil(amount)), String(most), fault ?? '', ...chosen]
    const { lines, code, stderr } = await preloaded(library, 'allocations-program.ts', own, words)
    const last = (lines as Line[]).findLast((line) => 'begins' in line)
    expect({ code }, `${JSON.stringify(last)} ${stderr}`).toEqual({ code: 0 })
    return (lines as Line[]).filter((line): line is Outcome => 'result' in line)
  })
  const outcomes = (await Promise.all(both)).flat()
  const repeat = ({ work, fault }: Outcome) => `VGGNET_FAULT='${work}: ${fault}' npm test -- test/safety/allocation`
  const wrong = outcomes.filter((outcome) => outcome.wrong.length > 0)
  expect(wrong.map((outcome) => ({ ...outcome, repeat: repeat(outcome) }))).toEqual([])
  if (only === '') expect(outcomes.filter(({ result }) => result === 'OUT_OF_MEMORY').length).toBeGreaterThan(20)
})
