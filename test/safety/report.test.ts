// The report of a log that somebody else wrote, by fast-check: a page that is no other document than a harmless log gives, or
// a VggError.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { VggError } from '../../lib/error.js'
import { reportPage } from '../../lib/report/page.js'
import { collectReport } from '../../lib/report/report.js'
import { newFolder } from '../setup/folder.js'
import { tagsOf } from '../setup/page-tags.js'
import { casesOf, seed } from './cases.js'
import { logLines } from './formats.js'

const texts = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='x",
  '</style></title>',
  '&lt;',
].concat(['\u0000\u001b[2J\u009b\u202e', '\ud800', ']]>-->', '__proto__', 'x'.repeat(5000), ''])
const hostile = fc.oneof(
  fc.constantFrom(...texts),
  fc.constantFrom(-1, 0, -0, 0.1, 5e-324, 1e-7, 1e15, 2 ** 31, 2 ** 53, 1e308, -1e308, null, true),
  fc.constantFrom([], {}, [null], [{ name: texts[1], reason: texts[0] }], {
    count: 1,
    loss: 1e308,
    top1: -5,
    top5: null,
  }),
  fc.constantFrom({ [texts[0] as string]: texts[1], __proto__: 1 }),
  fc.double(),
  fc.string(),
)
const harmless = logLines()
/** A line with one or two other values, or text that is none. */
const line = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.constantFrom(...harmless).chain((one) =>
      fc
        .dictionary(fc.constantFrom(...Object.keys(one), 'validation', 'skipped', 'refused', 'settings'), hostile, {
          maxKeys: 2,
        })
        .map((changes) => JSON.stringify({ ...one, ...changes })),
    ),
  },
  { weight: 1, arbitrary: fc.oneof(fc.string(), fc.json()) },
)
const logs = fc.array(line, { maxLength: 12 }).map((lines) => `${[JSON.stringify(harmless[0]), ...lines].join('\n')}\n`)

const elements = new Set(
  'b bdi body circle dd details div dl dt figcaption figure footer g h1 h2 h3 head header html li main meta p path section span style summary svg table tbody td text th thead title tr ul !doctype'.split(
    ' ',
  ),
)
/** Attributes with which a page could do more than show something. */
const active = /^(?:on.*|href|src|action|formaction|srcdoc)$/

async function pageOf(folder: string, log: string): Promise<string> {
  writeFileSync(path.join(folder, 'log.jsonl'), log)
  return reportPage(await collectReport(folder))
}

test('the page of a hostile log has no elements or attributes but its own, and numbers that can be drawn', async () => {
  const folder = newFolder()
  let pages = 0
  await fc.assert(
    fc.asyncProperty(logs, async (log) => {
      const page = await pageOf(folder, log).catch((error: unknown) => {
        if (error instanceof VggError && error.code === 'FILE_FORMAT') return undefined
        throw error
      })
      if (page === undefined) return
      pages += 1
      const tags = new Set(tagsOf(page))
      const attributes = [...tags].flatMap((tag) => tag.split(' ').slice(1))
      expect(attributes.filter((attribute) => active.test(attribute))).toEqual([])
      const others = [...tags].map((tag) => tag.replace(/^\/| .*$/g, '')).filter((name) => !elements.has(name))
      expect(others).toEqual([])
      expect(page.match(/<(?:path|circle|line|rect|text|svg)[^>]*(?:NaN|Infinity)[^>]*>/g)).toBeNull()
      expect(page).not.toMatch(/[^\P{Cc}\n\t\r]|[\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u)
      expect(page.length).toBeLessThan(40 * log.length + 100_000)
    }),
    { seed, numRuns: casesOf({ sample: 200, whole: 100_000 }) },
  )
  expect(pages).toBeGreaterThan(0)
}, 7_200_000)
