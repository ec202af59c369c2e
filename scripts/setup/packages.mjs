import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

const readLock = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined)

/**
 * Whether node_modules holds what the lock file asks for. npm writes node_modules/.package-lock.json when it has
 * finished; packages for other platforms are in the lock file only.
 */
export function packagesAreCurrent(root) {
  const wanted = readLock(path.join(root, 'package-lock.json'))
  const installed = readLock(path.join(root, 'node_modules', '.package-lock.json'))
  if (!wanted || !installed) return false
  return Object.entries(wanted).every(([name, { version, integrity, optional }]) => {
    if (name === '') return true
    const found = installed[name]
    return found ? found.version === version && found.integrity === integrity : optional === true
  })
}

/** Runs npm ci if node_modules differs from the lock file. */
export async function installPackages(root) {
  if (packagesAreCurrent(root)) return
  // Inside `npm run` npm names itself; another package manager would name itself too.
  const { npm_execpath: self = '' } = process.env
  const [program, ...first] = self.endsWith('npm-cli.js') ? [process.execPath, self] : ['npm']
  await announce('npm ci', async () => {
    // No package needs its install script. --no-dry-run: `npm pack --dry-run` hands its flag down to `prepack`.
    const flags = ['--ignore-scripts', '--no-dry-run', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
    const { ok, output } = await run(program, [...first, 'ci', ...flags], { cwd: root })
    if (!ok) throw new SetupProblem('DOWNLOAD_FAILED', 'npm ci failed; its output is above', output)
  })
}
