import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { fingerprintOf, isKnown, obstacleTo, remember } from './load/binary-check.js'
import { type Attempt, loadFailure, machine, noFolder, redirected, unsupported } from './load/failure.js'
import type { Native } from './native-interface.js'
import { packageRoot, packageVersion } from './package.js'

export type * from './native-group.js'
export type * from './native-interface.js'
export type * from './native-losses.js'

const require = createRequire(import.meta.url)

/** How this package is installed. */
export interface Installation {
  /** The folder of package.json. */
  readonly root: string
  /** Whether it is a checkout, with the scripts that build the native code. */
  readonly checkout: boolean
  /** Path of the binary in use. */
  readonly binary: string
  readonly native: Native
}

/** The only folders of which a binary is loaded that nobody named. node-gyp-build searches them in this order. */
const foldersOf = (root: string): string[] =>
  ['build/Release', 'prebuilds/linux-x64'].map((name) => path.join(root, name))

/** Why neither folder contains a binary that fits. */
function emptyFolders(root: string): Attempt[] {
  return foldersOf(root).map((location): Attempt => {
    if (!existsSync(location)) return { location, reason: noFolder }
    const others = readdirSync(location).filter((file) => file.endsWith('.node'))
    const reason = others.length === 0 ? 'there is no binary in it' : `none for this Node: ${others.join(', ')}`
    return { location, reason }
  })
}

/** Returns the path of the binary, or the failed attempts to find it. */
function findBinary(root: string, chosen: string | undefined): string | Attempt[] {
  const { VGGNET_PREBUILD: redirection } = process.env
  if (chosen) {
    const binary = path.resolve(chosen)
    const location = `${binary} (VGGNET_BINARY)`
    if (!statSync(binary, { throwIfNoEntry: false })?.isFile()) return [{ location, reason: 'there is no such file' }]
    return binary.endsWith('.node') ? binary : [{ location, reason: 'it does not end in .node' }]
  }
  // node-gyp-build would take another package's binary, which neither manifest nor build id protects
  if (redirection) return [{ location: redirection, reason: redirected }]
  try {
    const { resolve } = require('node-gyp-build') as { resolve(folder: string): string }
    const binary = resolve(root)
    // it searches beside the program of Node too
    return foldersOf(root).includes(path.dirname(binary)) ? binary : emptyFolders(root)
  } catch {
    return emptyFolders(root)
  }
}

/** Loads a binary into this process; a binary that is new to this user is checked first. */
function open(binary: string): Native {
  const fingerprint = fingerprintOf(binary)
  const known = isKnown(binary, fingerprint)
  const refusal = known ? undefined : unsupported(machine())
  if (refusal) throw refusal
  const obstacle = known ? '' : obstacleTo(binary)
  if (obstacle !== '') throw new Error(obstacle)
  // not require, which would give every copy of this module the same object: each copy has a separate error class
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
  const checkout = existsSync(path.join(root, 'scripts'))
  const failure = (attempts: readonly Attempt[]): VggError =>
    loadFailure(attempts, machine(), { root, version: packageVersion(), checkout, chosen: Boolean(chosen) })
  // libgomp reads this once, when it is loaded: waiting threads that spin slow down every other thread. In a worker,
  // process.env is a copy that libgomp does not see, unless the main thread has loaded vggnet before.
  process.env.OMP_WAIT_POLICY ??= 'passive'
  const binary = findBinary(root, chosen)
  if (typeof binary !== 'string') throw failure(binary)
  try {
    return { root, checkout, binary, native: open(binary) }
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    const error = failure([{ location: binary, reason: messageOf(cause) }])
    error.cause = cause
    throw error
  }
}

let loaded: Installation | undefined

/**
 * Returns the native library and its location. Loads it at the first call.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function installation(): Installation {
  loaded ??= load()
  return loaded
}

/** Returns the native library; see `installation`. @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED */
export const native = (): Native => installation().native
