import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'
import { hashOf, stampHolds, writeStamp } from './stamp.mjs'

// The lock file names the compiler.
const sources = ['lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']

// npm does so for an installed package, and not for `npx vggnet` in the checkout.
function makeCommandsExecutable(root, folder) {
  const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  for (const command of Object.values(bin)) {
    const file = path.join(folder, path.relative('dist', command))
    if (existsSync(file)) chmodSync(file, 0o755)
  }
}

// The stamp covers all of dist/: it is compiled again if a file is lost, changed or new.
const stampOf = (hash, folder) => `${hash} ${hashOf(folder, ['.'])}`

/** Whether a folder, by default dist/, was compiled from this source. */
export const libraryIsCurrent = (root, folder = path.join(root, 'dist')) =>
  stampHolds(path.join(folder, '.stamp'), stampOf(hashOf(root, sources), folder))

/** Compiles lib/ to dist/ by tsc if a source has changed. dist/ is replaced as a whole or, on an error, not at all. */
export async function compileLibrary(root) {
  if (libraryIsCurrent(root)) return
  const folder = path.join(root, 'dist')
  const hash = hashOf(root, sources)
  await announce('TypeScript', async () => {
    const fresh = path.join(root, 'dist.new')
    rmSync(fresh, { recursive: true, force: true })
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { ok, output } = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
      cwd: root,
    })
    if (!ok) {
      rmSync(fresh, { recursive: true, force: true })
      throw new SetupProblem('BUILD_FAILED', 'tsc found errors in lib/; they are above', output)
    }
    makeCommandsExecutable(root, fresh)
    writeStamp(path.join(fresh, '.stamp'), stampOf(hash, fresh), [])
    rmSync(folder, { recursive: true, force: true })
    renameSync(fresh, folder)
  })
}
