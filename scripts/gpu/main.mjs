// Called by scripts/gpu-check, which says what it does. Every part has its own time limits and keeps what it finds at once.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder, folderOf } from '../../lib/platform/wheels/cache.mjs'
import { pins } from '../../lib/platform/wheels/pins.mjs'
import { exitOnProblem, SetupProblem } from '../setup/problem.mjs'
import { checkNode } from '../setup/tools.mjs'
import { buildAll } from './build.mjs'
import { carriedCache, keepPlans, takeCarriedPlans, unpackCarried } from './carried.mjs'
import { runFirst } from './first/run.mjs'
import { describeMachine, resultsFolder } from './machine.mjs'
import { pack } from './pack.mjs'
import { openReport } from './report.mjs'
import { runSanitize } from './sanitize.mjs'
import { runBaselines, runBench } from './speed.mjs'
import { runTests } from './tests.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const parts = { first: runFirst, tests: runTests, sanitize: runSanitize, bench: runBench, peers: runBaselines }
const defaultSeconds = { first: 570 }
const usualSeconds = 470

function readFlags() {
  const text = { type: 'string' }
  const options = {
    part: text,
    node: text,
    python: text,
    out: text,
    seconds: text,
    table: text,
    pack: { type: 'boolean' },
  }
  const { values } = parseArgs({ options })
  if (!values.pack && values.part !== 'build' && !Object.hasOwn(parts, values.part ?? '')) {
    throw new SetupProblem(
      'BUILD_FAILED',
      `Expected ${[...Object.keys(parts), 'build'].join(', ')} for --part but received '${values.part}'`,
    )
  }
  return values
}

// Everything that is started finds its tools by the environment, as in daily work.
function prepareEnvironment({ python }) {
  const { env } = process
  const first = [path.dirname(process.execPath), ...(python ? [path.dirname(path.resolve(python))] : [])]
  env.PATH = [...first, env.PATH ?? ''].join(path.delimiter)
  unpackCarried(root)
  const hasOneDnn = existsSync(folderOf(cacheFolder(), 'onednn', pins.onednn))
  if (!hasOneDnn && existsSync(carriedCache(root))) env.VGGNET_CACHE ??= carriedCache(root)
  takeCarriedPlans(root)
}

await exitOnProblem(async () => {
  checkNode()
  const flags = readFlags()
  if (flags.pack) return pack(root)
  const start = performance.now()
  prepareEnvironment(flags)
  await buildAll(root)
  const spent = (performance.now() - start) / 1000
  console.log(`ready after ${spent.toFixed(0)} s`)
  if (flags.part === 'build') return
  const machine = describeMachine(root)
  const folder = path.resolve(flags.out ?? resultsFolder(root, machine))
  const report = openReport({ folder, part: flags.part, machine })
  const total = Number(flags.seconds ?? defaultSeconds[flags.part] ?? usualSeconds)
  const secondsLeft = () => total - (performance.now() - start) / 1000
  const ok = await parts[flags.part]({ root, folder, machine, report, secondsLeft, table: flags.table })
  report.end(ok)
  keepPlans(folder)
  console.log(
    `${flags.part}: ${ok ? 'passed' : 'FAILED'}; ${path.relative(process.cwd(), folder) || '.'}/${flags.part}.json`,
  )
  // also where a program that cannot be ended is left
  process.exit(ok ? 0 : 1)
})
