import { VggError } from './error.js'

const neededGlibc = '2.34'

/** Where a binary was looked for, and why it was not taken. */
export interface Attempt {
  readonly place: string
  readonly reason: string
}

/** The machine as far as it decides whether a binary loads. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly node: string
  /** Node-API version of this Node. */
  readonly napi: string
  /** Undefined where the C library is not glibc, as on Alpine. */
  readonly glibc: string | undefined
}

/** This machine. */
export function machine(): Machine {
  // the report writes no file here; it is the one place where Node tells the version of glibc
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    napi: process.versions.napi ?? 'unknown',
    glibc: report?.header?.glibcVersionRuntime,
  }
}

/** The error that explains why no binary could be loaded: what was tried, what is there, what to type. */
export function loadFailure(attempts: readonly Attempt[], here: Machine, checkout: boolean): VggError {
  const found = `Node ${here.node} (Node-API ${here.napi}, needs 8), ${here.platform} ${here.arch}, ${
    here.glibc === undefined ? 'no glibc' : `glibc ${here.glibc}`
  } (needs ${neededGlibc} or later)`
  if (here.platform !== 'linux' || here.arch !== 'x64' || here.glibc === undefined) {
    const message = `vggnet runs on Linux x64 with glibc ${neededGlibc} or later and Node 20.17 or later.\nFound: ${found}`
    return new VggError('UNSUPPORTED_PLATFORM', message)
  }
  const command = checkout ? 'npm run build:native' : 'npm install --force vggnet'
  const purpose = checkout ? 'in the checkout, builds it' : 'installs the package again, with its binary'
  const lines = [
    'Could not load the native binary of vggnet.',
    'Tried:',
    ...attempts.map(({ place, reason }) => `- ${place}: ${reason.replaceAll('\n', '\n  ')}`),
    `Found: ${found}`,
    `Cure: \`${command}\` (${purpose})`,
  ]
  return new VggError('NATIVE_LOAD_FAILED', lines.join('\n'))
}
