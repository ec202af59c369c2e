import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { messageOf, VggError } from './error.js'
import { loadFailure, machine } from './load-failure.js'
import type { Native } from './native-interface.js'
import { packageRoot } from './package.js'

export type * from './native-interface.js'

const require = createRequire(import.meta.url)
function binaryPath(root: string): string {
  const chosen = process.env.VGGNET_BINARY
  if (chosen) return path.resolve(chosen)
  const { resolve } = require('node-gyp-build') as { resolve(folder: string): string }
  return resolve(root)
}

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

function load(): Installation {
  const root = packageRoot()
  const checkout = existsSync(path.join(root, 'native'))
  const here = machine()
  if (here.platform !== 'linux' || here.arch !== 'x64' || here.glibc === undefined)
    throw loadFailure([], here, checkout)
  // libgomp reads this once, when it is loaded: waiting threads that spin slow every other thread down. In a worker
  // process.env is a copy that libgomp does not see, unless the main thread has loaded vggnet before.
  process.env.OMP_WAIT_POLICY ??= 'passive'
  let place = process.env.VGGNET_BINARY ? 'VGGNET_BINARY' : `${root} (build/Release, prebuilds/linux-x64)`
  try {
    const binary = binaryPath(root)
    place = binary
    // not require, which gives every copy of this file the same object: each has a class of errors of its own
    const loading = { exports: {} as Native }
    process.dlopen(loading, binary)
    const native = loading.exports
    native.setErrorClass(VggError)
    return { root, checkout, binary, native }
  } catch (cause) {
    const reason = messageOf(cause)
    const failure = loadFailure([{ place, reason }], here, checkout)
    failure.cause = cause
    throw failure
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
