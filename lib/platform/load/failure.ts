import { VggError } from '../../error.js'
import { printable } from '../../table.js'
import { nodeFloor } from './node-check.js'

/** The oldest glibc of the package's binaries: Ubuntu 22.04, Debian 12 and RHEL 9 have it or a later version. */
const glibcFloor = '2.34'

/** A location where a binary was searched, and why it was not loaded. */
export interface Attempt {
  readonly location: string
  readonly reason: string
}

/** The properties of a machine that decide whether a binary loads. */
export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly node: string
  /** Node-API version of this Node. */
  readonly napi: string
  /** Undefined if the C library is not glibc, as on Alpine. */
  readonly glibc: string | undefined
}

/** Describes this machine; takes some milliseconds. */
export function machine(): Machine {
  const { report } = process as { report?: { excludeNetwork?: boolean; getReport(): object } }
  const { excludeNetwork = false } = report ?? {}
  // the network part of a report resolves host names, which can take seconds
  if (report) report.excludeNetwork = true
  // the only source of the version of glibc in Node; getReport writes no file
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

/** Whether a version is older than another, compared number by number. */
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

/** Creates the error for a system without a binary of vggnet. */
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
        ...attempts.map(
          ({ location, reason }) => `- ${printable(location)}: ${reason.trimEnd().replaceAll('\n', '\n  ')}`,
        ),
      ]

/** Creates the error for a binary that does not load: the attempts, the machine, the requirements, and the fix. */
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

/** Returns the error for a system that vggnet does not support, or undefined for a supported one. */
export function unsupported(here: Machine): VggError | undefined {
  return supported(here) ? undefined : platformFailure([], here)
}

/** How the package is installed; the cure depends on it. */
export interface Installed {
  /** The folder of package.json. */
  readonly root: string
  readonly version: string
  /** Whether it is a checkout, with the scripts that build the native code. */
  readonly checkout: boolean
  /** Whether VGGNET_BINARY names the binary. */
  readonly chosen: boolean
}

/** The cause of a failed attempt. */
interface Cause {
  /** The version of glibc that the binary needs. */
  readonly glibc?: string
  /** Other requirements that are not met. */
  readonly needs: readonly string[]
  readonly cure: string
}

/** The reason of an attempt in a folder that does not exist. */
export const noFolder = 'there is no such folder'

/** The reason why no binary is searched while a variable names another folder. */
export const redirected = 'VGGNET_PREBUILD is set, and vggnet loads only its own binary'

const bundled = ['libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0']

/** How to get an intact binary. npm does not replace an installed package, not even with --force. */
function reinstallCure({ root, checkout, chosen }: Installed): string {
  if (chosen) return 'unset VGGNET_BINARY, or set it to an intact vggnet.node that was built for this machine'
  if (checkout) return `\`rm -rf ${root}/build && npm run build:native\` in the checkout builds it again`
  if (root.includes('/.pnpm/')) return '`rm -rf node_modules && pnpm install` reinstalls the package'
  return `\`rm -rf ${root} && npm install\` reinstalls the package (npm install alone does not replace it)`
}

const symbolVersion = /version [`'](GLIBC|GLIBCXX|CXXABI)_([\d.]+)' not found/
const missingLibrary = /([^\s:]+\.so[.\d]*): cannot open shared object file: No such file/

function ofSymbolVersion(family: string, version: string, installed: Installed): Cause {
  const build = installed.checkout ? `; or ${reinstallCure(installed)}, for this system` : ''
  if (family === 'GLIBC') return { glibc: version, needs: [], cure: `a system with glibc ${version} or later${build}` }
  const needs = [`libstdc++ with ${family}_${version}`]
  return { needs, cure: `a newer libstdc++ (the package libstdc++6 of a newer system, or g++ 11 or later)${build}` }
}

function ofLibrary(file: string, installed: Installed): Cause {
  const name = file.split('/').at(-1) ?? file
  const needs = [name]
  if (!bundled.includes(name)) return { needs, cure: `the system package that contains ${name}` }
  const beside = `${name} must be in the folder of the binary: ${reinstallCure(installed)}`
  return { needs, cure: name === 'libgomp.so.1' ? `${beside}; or \`sudo apt-get install libgomp1\`` : beside }
}

const damaged =
  /file too short|invalid ELF header|ELF|cannot read file data|SIGBUS|SIGSEGV|bytes instead of|differs from the file|is damaged/

/** Derives the cause of a failed attempt from its reason. */
function causeOf(reason: string, installed: Installed): Cause {
  if (reason === noFolder && !installed.checkout && !installed.chosen) {
    const cure =
      'the package was packed without its scripts (--ignore-scripts): `npm pack` in the clone packs all of it'
    return { needs: ['the binaries of the package'], cure }
  }
  if (reason === redirected)
    return { needs: [], cure: '`unset VGGNET_PREBUILD`; VGGNET_BINARY=FILE names another binary of vggnet' }
  const [, family, version] = symbolVersion.exec(reason) ?? []
  if (family && version) return ofSymbolVersion(family, version, installed)
  const [, library] = missingLibrary.exec(reason) ?? []
  if (library) return ofLibrary(library, installed)
  if (/failed to map segment/.test(reason)) {
    const cure = 'an installation on a file system that is mounted without noexec'
    return { needs: ['a file system without noexec'], cure }
  }
  if (/SIGILL/.test(reason)) return { needs: ['a processor with its instructions'], cure: reinstallCure(installed) }
  if (/[Pp]ermission denied|EACCES/.test(reason)) {
    return { needs: [], cure: 'let this user read the file (chmod a+rX), or install the package as this user' }
  }
  return { needs: damaged.test(reason) ? ['an intact binary of this build'] : [], cure: reinstallCure(installed) }
}
