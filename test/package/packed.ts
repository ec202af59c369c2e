import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { root } from '../setup/command.js'

/** What `npm pack` says about the tarball it made. */
export interface Packed {
  /** The tarball. */
  readonly file: string
  /** bytes */
  readonly size: number
  /** Paths inside the package, with slashes. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[]
}

/** `npm pack` in a checkout, scripts and all; the tarball goes to `folder`. */
export async function pack(folder: string, checkout = root): Promise<Packed> {
  const words = ['pack', '--json', '--pack-destination', folder]
  const { stdout } = await promisify(execFile)('npm', words, { cwd: checkout, maxBuffer: 1 << 26 })
  const [{ filename, size, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
  return { file: path.join(folder, filename), size, files }
}
