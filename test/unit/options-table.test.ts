import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { fallbackOf, type OptionRow } from '../../lib/options.js'
import { checkpointTable, requestedIn, trainTable } from '../../lib/train/options.js'
import { callTable } from '../../lib/train/settings.js'
import { modelTable } from '../../lib/vgg/configuration.js'

const textOf = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../lib/${file}`, import.meta.url)), 'utf8')

/** The docstring of a property of an interface, on one line. */
function docstringOf(text: string, name: string): string {
  const [, docstring = ''] = new RegExp(`/\\*\\*((?:(?!\\*/).)*)\\*/\\s+${name}\\??:`, 's').exec(text) ?? []
  return docstring.replaceAll(/\s+\*?\s*/g, ' ')
}

const tables: [string, string, Record<string, OptionRow>][] = [
  ['recorded options of train', 'train/options.ts', trainTable],
  ['other options of train', 'train/settings.ts', callTable],
  ['options of checkpoints', 'train/options.ts', checkpointTable],
  ['options of models', 'vgg/options.ts', modelTable],
]

describe.each(tables)('%s', (_, file, table) => {
  const rows = Object.entries(table).map(([name, row]) => ({ name, ...row, fallback: fallbackOf(row.check) }))
  const simple = rows.filter(({ fallback }) => ['number', 'string'].includes(typeof fallback))

  test.each(simple)('$name: the docstring states the default $fallback', ({ name, fallback }) => {
    expect(docstringOf(textOf(file), name)).toMatch(new RegExp(`[Dd]efault \`?'?${fallback}\\b`))
  })

  test.each(rows.filter(({ flag }) => flag !== undefined))('$name: the flag $flag has a help text', ({ help }) => {
    expect(help).toMatch(/^\S.*\S$/)
  })
})

test('options that are not given have their defaults in run.json, and none where they have none', () => {
  expect(requestedIn('training', { epochs: 3 })).toEqual({
    epochs: 3,
    dropLast: false,
    learningRate: 0.01,
    momentum: 0.9,
    weightDecay: 5e-4,
    onNotFinite: 'stop',
  })
  expect(requestedIn('run', { seed: 5 })).toEqual({
    seed: 5,
    freeze: [],
    rateFactors: {},
    shift: 0,
    background: 0,
    flip: false,
  })
})
