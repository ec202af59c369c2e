// npm run docs [-- --check]: makes docs/api/ from the docstrings, or says whether it is current.
// Exit codes: 0 done or current, 1 not current or a docstring is at fault, 69 the tool's packages cannot be had (offline).
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { holdLock } from '../../lib/platform/wheels/lock.mjs'
import { installPackages } from '../../scripts/setup/packages.mjs'
import { exitOnProblem, SetupProblem } from '../../scripts/setup/problem.mjs'
import { referencePages } from './reference.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = path.join(root, 'docs', 'api')
const unavailable = 69
const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|network/i

function isCheck() {
  try {
    return parseArgs({ options: { check: { type: 'boolean', default: false } } }).values.check
  } catch (error) {
    throw new SetupProblem('BUILD_FAILED', `Expected [--check] for docs: ${error.message}`)
  }
}

async function installTool() {
  try {
    const tool = path.join(root, 'docs', 'tool')
    await holdLock(tool, () => installPackages(tool))
  } catch (error) {
    if (!(error instanceof SetupProblem) || !offline.test(error.log)) throw error
    process.stderr.write(`${error.log.trimEnd()}\ndocs: the packages of docs/tool cannot be had: no registry answers\n`)
    process.exit(unavailable)
  }
}

function pagesThere() {
  mkdirSync(folder, { recursive: true })
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]))
}

/** Names of pages that are missing, superfluous or other than they should be. */
function stalePages(wanted, there) {
  const names = new Set([...wanted.keys(), ...there.keys()])
  return [...names].filter((name) => wanted.get(name) !== there.get(name)).sort()
}

await exitOnProblem(async () => {
  const check = isCheck()
  await installTool()
  const pages = await referencePages(root)
  const stale = stalePages(pages, pagesThere())
  if (check && stale.length > 0) {
    throw new SetupProblem(
      'BUILD_FAILED',
      `docs/api is not what the docstrings say (${stale.join(', ')}): npm run docs`,
    )
  }
  for (const name of stale) {
    if (pages.has(name)) writeFileSync(path.join(folder, name), pages.get(name))
    else rmSync(path.join(folder, name))
  }
  console.log(`docs/api: ${pages.size} pages, ${stale.length === 0 ? 'current' : `${stale.length} written anew`}`)
})
