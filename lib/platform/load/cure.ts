// What a reason for which a binary did not load asks for, and what to type.

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
function anew({ root, checkout, chosen }: Installed): string {
  if (chosen) return 'unset VGGNET_BINARY, or let it name a whole vggnet.node that was built for this machine'
  if (checkout) return `\`rm -rf ${root}/build && npm run build:native\` in the checkout builds it anew`
  if (root.includes('/.pnpm/')) return '`rm -rf node_modules && pnpm install` installs the package anew'
  return `\`rm -rf ${root} && npm install\` installs the package anew (npm install alone leaves it as it is)`
}

const symbolVersion = /version [`'](GLIBC|GLIBCXX|CXXABI)_([\d.]+)' not found/
const missingLibrary = /([^\s:]+\.so[.\d]*): cannot open shared object file: No such file/

function ofSymbolVersion(family: string, version: string, installed: Installed): Cause {
  const build = installed.checkout ? `; or ${anew(installed)}, for this system` : ''
  if (family === 'GLIBC') return { glibc: version, needs: [], cure: `a system with glibc ${version} or later${build}` }
  const needs = [`libstdc++ with ${family}_${version}`]
  return { needs, cure: `a newer libstdc++ (the package libstdc++6 of a newer system, or g++ 11 or later)${build}` }
}

function ofLibrary(file: string, installed: Installed): Cause {
  const name = file.split('/').at(-1) ?? file
  const needs = [name]
  if (!bundled.includes(name)) return { needs, cure: `the system's package that holds ${name}` }
  const beside = `${name} belongs beside the binary: ${anew(installed)}`
  return { needs, cure: name === 'libgomp.so.1' ? `${beside}; or \`sudo apt-get install libgomp1\`` : beside }
}

const damaged =
  /file too short|invalid ELF header|ELF|cannot read file data|SIGBUS|SIGSEGV|bytes instead of|other content|is damaged/

/** What the reason of an attempt means. */
export function causeOf(reason: string, installed: Installed): Cause {
  if (reason === noFolder && !installed.checkout && !installed.chosen) {
    const cure = 'the package was packed without its scripts (--ignore-scripts): `npm pack` in the clone packs all of it'
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
  if (/SIGILL/.test(reason)) return { needs: ['a processor that knows its instructions'], cure: anew(installed) }
  if (/[Pp]ermission denied|EACCES/.test(reason)) {
    return { needs: [], cure: 'let this user read the file (chmod a+rX), or install the package as this user' }
  }
  return { needs: damaged.test(reason) ? ['a whole binary of this build'] : [], cure: anew(installed) }
}
