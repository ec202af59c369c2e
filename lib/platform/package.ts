import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { VggError } from '../error.js'

interface Package {
  /** The folder of package.json. */
  readonly root: string
  readonly version: string
}

// The sources lie in lib/, the compiled files in dist/: the root is where the package's own package.json lies.
function find(): Package {
  const here = fileURLToPath(import.meta.url)
  for (let folder = path.dirname(here); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json')
    const { name, version } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
    if (name === 'vggnet') return { root: folder, version }
    if (folder === path.dirname(folder)) break
  }
  throw new VggError(
    'NATIVE_LOAD_FAILED',
    `Found no package.json of vggnet above ${here}: a bundler has taken its code elsewhere, away from its binary.\n` +
      'Cure: have the bundler leave vggnet where it is (external: vggnet)',
  )
}

let found: Package | undefined

function ownPackage(): Package {
  found ??= find()
  return found
}

/** The folder of this package. @throws NATIVE_LOAD_FAILED where its code has been taken out of it */
export const packageRoot = (): string => ownPackage().root

/** The version that the package's own package.json states. @throws as `packageRoot` */
export const packageVersion = (): string => ownPackage().version
