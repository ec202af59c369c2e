// Calls the public functions with hostile numbers, in a process of its own: node options-program.mjs SEED FIRST END PROGRESS.
// Written in JavaScript and run on dist/, because a TypeScript loader does not start under the limit of memory.
import { openSync, rmSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { VggError } from '../../dist/index.js'
import { home, targets } from './options-targets.mjs'
import { built, ofCallback, textOf, values } from './options-values.mjs'

const [seed, first, end] = process.argv.slice(2, 5).map(Number)
const progress = openSync(process.argv[5], 'w')

const cases = fc
  .constantFrom(...Object.keys(targets))
  .chain((name) =>
    fc.tuple(
      fc.constant(name),
      fc.dictionary(fc.constantFrom(...targets[name].keys), values, { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
    ),
  )

const report = (found) => writeSync(1, `${JSON.stringify(found)}\n`)
let running = first
const raw = (error) => {
  const { name = '', message = '', stack = '' } = error instanceof Error ? error : { message: textOf(error) }
  report({ case: running, error: `${name}: ${message}`.slice(0, 500), stack: stack.split('\n').slice(1, 6) })
}
process.on('unhandledRejection', raw)
// only what a command would print
console.log = () => undefined
console.error = () => undefined

// a call whose valid values are refused would test nothing
for (const [name, { call }] of Object.entries(first === 0 ? targets : {})) {
  try {
    await call({})
  } catch (error) {
    if (!['FILE_NOT_FOUND', 'ABORTED'].includes(error.code))
      report({ case: 'valid values', target: name, error: textOf(error) })
  }
}

for (running = first; running < end; running++) {
  const [[name, given]] = fc.sample(cases, { seed: seed * 1_000_003 + running, numRuns: 1 })
  writeSync(progress, `${String(running).padStart(10)} ${name} ${Object.keys(given).join(' ')}`.padEnd(120), 0)
  if (process.env.VGGNET_SHOW) process.stderr.write(`${running} ${name} ${Object.keys(given).join(' ')}\n`)
  try {
    await targets[name].call(
      Object.fromEntries(Object.entries(given).map(([key, described]) => [key, built(described)])),
    )
  } catch (error) {
    if (error === ofCallback) continue
    if (!(error instanceof VggError)) {
      raw(error)
      report({ case: running, target: name, given: fc.stringify(given).slice(0, 300) })
    } else if (error.code === 'INTERNAL') raw(error)
  }
  process.exitCode = 0
}
rmSync(home, { recursive: true })
report({ done: end - first })
process.exit(0)
