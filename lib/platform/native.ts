import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { fingerprintOf, isKnown, obstacleTo, remember } from './load/binary-check.js'
import { type Attempt, loadFailure, machine, noFolder, unsupported } from './load/failure.js'
import type { Native } from './native-interface.js'
import { packageRoot, packageVersion } from './package.js'

export type * from './native-interface.js'

const require = createRequire(import.meta.url)

/** How this package is installed. */
export interface Installation {
  /** The folder of package.json. */
  readonly root: string
  /** Whether it holds the sources of the native code. */
  readonly checkout: boolean
  /** The binary in use. */
  readonly binary: string
  readonly native: Native
}

/** Where the package's own binary may lie; node-gyp-build takes the first. */
function emptyPositions(root: string): Attempt[] {
  return ['build/Release', 'prebuilds/linux-x64'].map((name): Attempt => {
    const position = path.join(root, name)
    if (!existsSync(position)) return { position, reason: noFolder }
    const others = readdirSync(position).filter((file) => file.endsWith('.node'))
    const reason = others.length === 0 ? 'there is no binary in it' : `none for this Node: ${others.join(', ')}`
    return { position, reason }
  })
}

/** The binary in use, or where none was found. */
function findBinary(root: string, chosen: string | undefined): string | Attempt[] {
  if (chosen) {
    const binary = path.resolve(chosen)
    const position = `${binary} (VGGNET_BINARY)`
    if (!statSync(binary, { throwIfNoEntry: false })?.isFile()) return [{ position, reason: 'there is no such file' }]
    return binary.endsWith('.node') ? binary : [{ position, reason: 'it does not end in .node' }]
  }
  try {
    const { resolve } = require('node-gyp-build') as { resolve(folder: string): string }
    return resolve(root)
  } catch {
    return emptyPositions(root)
  }
}

/** Loads a binary into this process: at once where it has been seen to load, else after a look at it. */
function open(binary: string): Native {
  const fingerprint = fingerprintOf(binary)
  const known = isKnown(binary, fingerprint)
  const refusal = known ? undefined : unsupported(machine())
  if (refusal) throw refusal
  const obstacle = known ? '' : obstacleTo(binary)
  if (obstacle !== '') throw new Error(obstacle)
  // not require, which gives every copy of this file the same object: each has a class of errors of its own
  const loading = { exports: {} as Native }
  process.dlopen(loading, binary)
  const native = loading.exports
  native.setErrorClass(VggError)
  if (!known) remember(binary, fingerprint)
  return native
}

function load(): Installation {
  const { VGGNET_BINARY: chosen } = process.env
  if (process.platform !== 'linux' || process.arch !== 'x64') throw unsupported(machine())
  const root = packageRoot()
  const checkout = existsSync(path.join(root, 'native'))
  const failure = (attempts: readonly Attempt[]): VggError =>
    loadFailure(attempts, machine(), { root, version: packageVersion(), checkout, chosen: Boolean(chosen) })
  // libgomp reads this once, when it is loaded: waiting threads that spin slow every other thread down. In a worker
  // process.env is a copy that libgomp does not see, unless the main thread has loaded vggnet before.
  process.env.OMP_WAIT_POLICY ??= 'passive'
  const binary = findBinary(root, chosen)
  if (typeof binary !== 'string') throw failure(binary)
  try {
    return { root, checkout, binary, native: open(binary) }
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    const error = failure([{ position: binary, reason: messageOf(cause) }])
    error.cause = cause
    throw error
  }
}

let loaded: Installation | undefined

/**
 * The native library and where it lies, loaded at the first call.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function installation(): Installation {
  loaded ??= load()
  return loaded
}

/** The native library, as `installation` finds it. */
export const native = (): Native => installation().native
