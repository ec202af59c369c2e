import { VggError } from '../../error.js'
import { type Cause, causeOf, type Installed } from './cure.js'
import { nodeFloor } from './node-floor.js'

/** Of the binaries that come with the package: Ubuntu 22.04, Debian 12, RHEL 9. */
export const glibcFloor = '2.34'

/** Where a binary was looked for, and why it was not taken. */
export interface Attempt {
  readonly position: string
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

/** This machine; takes some milliseconds. */
export function machine(): Machine {
  const { report } = process as { report?: { excludeNetwork?: boolean; getReport(): object } }
  const { excludeNetwork = false } = report ?? {}
  // its network part looks names up, which can take seconds
  if (report) report.excludeNetwork = true
  // it writes no file here, and is the one position where Node tells the version of glibc
  const { header } = (report?.getReport() ?? {}) as { header?: { glibcVersionRuntime?: string } }
  if (report) report.excludeNetwork = excludeNetwork
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    napi: process.versions.napi ?? 'unknown',
    glibc: header?.glibcVersionRuntime,
  }
}

/** Whether one version is older than another, number by number. */
export const isOlder = (one: string, other: string): boolean => one.localeCompare(other, 'en', { numeric: true }) < 0

function supported({ platform, arch, glibc }: Machine): boolean {
  return platform === 'linux' && arch === 'x64' && glibc !== undefined && !isOlder(glibc, glibcFloor)
}

const foundText = ({ platform, arch, node, napi, glibc }: Machine): string => {
  const system = platform === 'linux' ? `, ${glibc === undefined ? 'no glibc (musl)' : `glibc ${glibc}`}` : ''
  return `Found: ${platform} ${arch}${system}, Node ${node} (Node-API ${napi})`
}

const requiredText = (needs: readonly string[]): string =>
  `Required: linux x64, ${needs.join(', ')}, Node ${nodeFloor} or later (Node-API 8)`

function platformCure({ platform, arch, glibc }: Machine): string {
  if (platform === 'linux' && arch === 'x64' && glibc !== undefined)
    return `a system with glibc ${glibcFloor} or later: Ubuntu 22.04, Debian 12, RHEL 9, Amazon Linux 2023, or a container of one`
  if (platform === 'linux' && arch === 'x64')
    return 'an image with glibc instead of musl: node:22-bookworm-slim instead of node:22-alpine'
  return 'Linux on x64, which a virtual machine, WSL 2 or a container gives: `docker run -it --platform linux/amd64 node:22-bookworm-slim`'
}

/** The error of a system that vggnet has no binary for. */
function platformFailure(attempts: readonly Attempt[], here: Machine): VggError {
  const lines = [
    `vggnet does not run on this system.`,
    ...triedLines(attempts),
    foundText(here),
    requiredText([`glibc ${glibcFloor} or later`]),
    `Cure: ${platformCure(here)}`,
  ]
  return new VggError('UNSUPPORTED_PLATFORM', lines.join('\n'))
}

const triedLines = (attempts: readonly Attempt[]): string[] =>
  attempts.length === 0
    ? []
    : [
        'Tried:',
        ...attempts.map(({ position, reason }) => `- ${position}: ${reason.trimEnd().replaceAll('\n', '\n  ')}`),
      ]

/** The error that explains why no binary could be loaded: what was tried, what is there, what is required, what to type. */
export function loadFailure(attempts: readonly Attempt[], here: Machine, installed: Installed): VggError {
  if (!supported(here)) return platformFailure(attempts, here)
  const cause: Cause = causeOf(attempts.at(-1)?.reason ?? '', installed)
  const lines = [
    `Could not load the native binary of vggnet ${installed.version}.`,
    ...triedLines(attempts),
    foundText(here),
    requiredText([`glibc ${cause.glibc ?? glibcFloor} or later`, ...cause.needs]),
    `Cure: ${cause.cure}`,
  ]
  return new VggError('NATIVE_LOAD_FAILED', lines.join('\n'))
}

/** The error where this system is none that vggnet runs on; undefined where it is one. */
export function unsupported(here: Machine): VggError | undefined {
  return supported(here) ? undefined : platformFailure([], here)
}
