// node scripts/setup.mjs [packages] [native] [native-debug] [cuda] [library] [prebuild]: runs the named parts of the set-up, or,
// without a name, packages, native and library. Parts that are up to date are skipped, without output. Imports no npm package,
// because it runs before npm ci.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { holdLock } from '../lib/platform/wheels/lock.mjs'
import { compileLibrary } from './setup/compile.mjs'
import { buildCuda } from './setup/cuda.mjs'
import { buildNative, builds } from './setup/native.mjs'
import { installPackages } from './setup/packages.mjs'
import { makePrebuild, removeStalePrebuild } from './setup/prebuild.mjs'
import { exitOnProblem, SetupProblem } from './setup/problem.mjs'
import { checkNode } from './setup/tools.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

const parts = {
  packages: () => installPackages(root),
  native: () => buildNative(root, builds.release),
  'native-debug': () => buildNative(root, builds.debug),
  cuda: () => buildCuda(root),
  library: () => compileLibrary(root),
  prebuild: () => makePrebuild(root),
}
const everything = ['packages', 'native', 'library']

await exitOnProblem(async () => {
  checkNode()
  const wanted = process.argv.length > 2 ? process.argv.slice(2) : everything
  const unknown = wanted.find((name) => !Object.hasOwn(parts, name))
  if (unknown !== undefined) {
    throw new SetupProblem(
      'BUILD_FAILED',
      `Expected ${Object.keys(parts).join(', ')} for setup but received '${unknown}'`,
    )
  }
  const onWaiting = (owner) =>
    process.stderr.write(`setup: waiting for another set-up of this clone (process ${owner})\n`)
  const setUp = async () => {
    removeStalePrebuild(root)
    for (const name of wanted) await parts[name]()
  }
  await holdLock(path.join(root, 'setup'), setUp, { onWaiting })
})
