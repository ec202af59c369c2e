import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { VggError } from '../error.js'
import { printable } from '../table.js'

interface Package {
  /** The folder of package.json. */
  readonly root: string
  readonly version: string
}

// This file is in lib/ or, compiled, in dist/; the root is the folder of vggnet's package.json above.
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
    `Found no package.json of vggnet above ${here}: a bundler moved its code away from its binary.\n` +
      'Cure: exclude vggnet from the bundle (external: vggnet)',
  )
}

let found: Package | undefined

function ownPackage(): Package {
  found ??= find()
  return found
}

/** Returns the folder of this package. @throws NATIVE_LOAD_FAILED if a bundler moved the code out of it */
export const packageRoot = (): string => ownPackage().root

/**
 * The message for a file of a format that this version does not read.
 *
 * @param known the formats that it reads: `format 1`
 * @param found the format of the file
 * @param writer the version of vggnet that wrote it, as in the file
 */
export function otherFormat(known: string, found: unknown, writer: unknown): string {
  // it comes from the file
  const isKnown = typeof writer === 'string' && writer.length < 100 && writer !== packageVersion()
  const [by, cure] = isKnown ? [`, written by vggnet ${writer}`, `vggnet ${writer}`] : ['', 'a newer vggnet']
  return `Expected ${known}, which vggnet ${packageVersion()} reads, but found ${found}${by}: install ${cure} to use the file`
}

/** Returns the version in the package's package.json. @throws NATIVE_LOAD_FAILED if a bundler moved the code out of it */
export const packageVersion = (): string => ownPackage().version

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  const shown = printable(word)
  // $'...' in bash and zsh, and in POSIX from 2024 on
  if (shown !== word) return `$'${printable(word.replaceAll(/['\\]/g, '\\$&'))}'`
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** Words as a shell reads them. */
export const shellText = (words: readonly string[]): string => words.map(quoted).join(' ')

/** A command of this package as a user types it: `npx vggnet train --resume 'my runs/1'`. */
export const commandText = (words: readonly string[]): string => shellText(['npx', 'vggnet', ...words])
