import { VggError } from '../../error.js'
import { nodeFloor } from './node-check.js'

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
  // it writes no file here, and is the only source of glibc's version in Node
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

/** How the package is installed, as far as a cure depends on it. */
export interface Installed {
  /** The folder of package.json. */
  readonly root: string
  readonly version: string
  /** Whether it holds the sources of the native code. */
  readonly checkout: boolean
  /** Whether VGGNET_BINARY names the binary. */
  readonly chosen: boolean
}

/** What a reason means. */
export interface Cause {
  /** The glibc that it asks for. */
  readonly glibc?: string
  /** What else it asks for, and is not there. */
  readonly needs: readonly string[]
  readonly cure: string
}

/** Reason of an attempt in a folder that does not exist. */
export const noFolder = 'there is no such folder'

const bundled = ['libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0']

/** Gets a whole binary: npm leaves a package that it has installed as it is, --force or not. */
function reinstall({ root, checkout, chosen }: Installed): string {
  if (chosen) return 'unset VGGNET_BINARY, or let it name a whole vggnet.node that was built for this machine'
  if (checkout) return `\`rm -rf ${root}/build && npm run build:native\` in the checkout rebuilds it`
  if (root.includes('/.pnpm/')) return '`rm -rf node_modules && pnpm install` reinstalls the package'
  return `\`rm -rf ${root} && npm install\` reinstalls the package (npm install alone leaves it as it is)`
}

const symbolVersion = /version [`'](GLIBC|GLIBCXX|CXXABI)_([\d.]+)' not found/
const missingLibrary = /([^\s:]+\.so[.\d]*): cannot open shared object file: No such file/

function ofSymbolVersion(family: string, version: string, installed: Installed): Cause {
  const build = installed.checkout ? `; or ${reinstall(installed)}, for this system` : ''
  if (family === 'GLIBC') return { glibc: version, needs: [], cure: `a system with glibc ${version} or later${build}` }
  const needs = [`libstdc++ with ${family}_${version}`]
  return { needs, cure: `a newer libstdc++ (the package libstdc++6 of a newer system, or g++ 11 or later)${build}` }
}

function ofLibrary(file: string, installed: Installed): Cause {
  const name = file.split('/').at(-1) ?? file
  const needs = [name]
  if (!bundled.includes(name)) return { needs, cure: `the system's package that holds ${name}` }
  const beside = `${name} belongs beside the binary: ${reinstall(installed)}`
  return { needs, cure: name === 'libgomp.so.1' ? `${beside}; or \`sudo apt-get install libgomp1\`` : beside }
}

const damaged =
  /file too short|invalid ELF header|ELF|cannot read file data|SIGBUS|SIGSEGV|bytes instead of|other content|is damaged/

/** What the reason of an attempt means. */
export function causeOf(reason: string, installed: Installed): Cause {
  if (reason === noFolder && !installed.checkout && !installed.chosen) {
    const cure =
      'the package was packed without its scripts (--ignore-scripts): `npm pack` in the clone packs all of it'
    return { needs: ['the binaries of the package'], cure }
  }
  const [, family, version] = symbolVersion.exec(reason) ?? []
  if (family && version) return ofSymbolVersion(family, version, installed)
  const [, library] = missingLibrary.exec(reason) ?? []
  if (library) return ofLibrary(library, installed)
  if (/failed to map segment/.test(reason)) {
    const cure = 'an installation on a file system that programs may be run from (mounted without noexec)'
    return { needs: ['a file system without noexec'], cure }
  }
  if (/SIGILL/.test(reason)) return { needs: ['a processor that knows its instructions'], cure: reinstall(installed) }
  if (/[Pp]ermission denied|EACCES/.test(reason)) {
    return { needs: [], cure: 'let this user read the file (chmod a+rX), or install the package as this user' }
  }
  return { needs: damaged.test(reason) ? ['a whole binary of this build'] : [], cure: reinstall(installed) }
}
