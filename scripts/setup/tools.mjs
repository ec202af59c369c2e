import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

/**
 * Throws where neither the wheels nor the build can work.
 * @param {{ platform: string, arch: string, glibc: string | undefined }} [found]
 */
export function checkPlatform({ platform, arch, glibc } = currentPlatform()) {
  if (platform === 'linux' && arch === 'x64' && glibc) return
  const found = `${platform} ${arch}${platform === 'linux' && !glibc ? ' without glibc (musl)' : ''}`
  throw new SetupProblem('UNSUPPORTED_PLATFORM', `Expected Linux on x64 with glibc for vggnet but received ${found}`)
}

function currentPlatform() {
  const { platform, arch } = process
  // The network part of a report looks names up, which can take seconds.
  if (process.report) process.report.excludeNetwork = true
  const glibc = platform === 'linux' ? process.report?.getReport().header.glibcVersionRuntime : undefined
  return { platform, arch, glibc }
}

export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 17)) return
  throw new SetupProblem('UNSUPPORTED_PLATFORM', `Expected Node 20.17 or later for vggnet but received ${version}`)
}

const managers = [
  { program: 'apt-get', install: 'sudo apt-get install', names: {} },
  { program: 'dnf', install: 'sudo dnf install', names: { 'g++': 'gcc-c++' } },
  { program: 'zypper', install: 'sudo zypper install', names: { 'g++': 'gcc-c++' } },
  {
    program: 'pacman',
    install: 'sudo pacman -S',
    names: { 'g++': 'gcc', python3: 'python', 'python3-pip': 'python-pip' },
  },
]

// The path of a program, or nothing. A name with a slash is a path already.
function pathOf(program) {
  const folders = program.includes('/') ? ['.'] : (process.env.PATH ?? '').split(path.delimiter)
  return folders
    .map((folder) => path.resolve(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** The command that installs a package (named as Debian does) with this machine's package manager. */
export function installCommand(name) {
  const { install, names } = managers.find(({ program }) => pathOf(program)) ?? managers[0]
  return `${install} ${names[name] ?? name}`
}

const missing = (what, name) =>
  new SetupProblem(
    'MISSING_TOOL',
    `${what} is missing and is needed to build vggnet: install it with \`${installCommand(name)}\``,
  )

/** @returns {Promise<string>} the path of a C++ compiler, g++ 11 or later ($CXX where it is set) */
export async function findCompiler() {
  const compiler = process.env.CXX || 'g++'
  const file = pathOf(compiler)
  const { ok, stdout } = file ? await run(file, ['-dumpfullversion', '-dumpversion']) : { ok: false, stdout: '' }
  if (!ok) throw missing(compiler === 'g++' ? 'g++' : `the compiler named by CXX (${compiler})`, 'g++')
  const version = stdout.trim()
  if (Number.parseInt(version, 10) < 11) {
    throw new SetupProblem(
      'MISSING_TOOL',
      `Expected g++ 11 or later but received ${version} (${compiler}): install it with \`${installCommand('g++-11')}\` and set CXX=g++-11`,
    )
  }
  return file
}

/**
 * The CUDA compiler, 13.0 or later: the first such on the PATH and in the toolkits that lie in `homes`.
 * @returns {Promise<string>} the path of nvcc
 */
export async function findNvcc(homes = [process.env.CUDA_HOME, '/usr/local/cuda']) {
  const names = ['nvcc', ...homes.filter((home) => home).map((home) => path.join(home, 'bin', 'nvcc'))]
  const candidates = names.map(pathOf).filter((file) => file)
  const cure =
    "install NVIDIA's CUDA toolkit 13.0 or later, and put its bin folder on the PATH or name the toolkit's folder in CUDA_HOME"
  const old = []
  for (const file of candidates) {
    const { stdout } = await run(file, ['--version'])
    const version = /release (\d+\.\d+)/.exec(stdout)?.[1]
    if (Number.parseInt(version, 10) >= 13) return file
    old.push(`${version ?? 'no version'} (${file})`)
  }
  const said = old.length
    ? `Expected nvcc 13.0 or later but received ${old.join(', ')}`
    : 'nvcc is missing and is needed to build vggnet for CUDA'
  throw new SetupProblem('MISSING_TOOL', `${said}: ${cure}`)
}

/** @returns {Promise<string>} a Python 3 that has pip */
export async function findPython() {
  const python = 'python3'
  if (!(await run(python, ['--version'])).ok) throw missing('Python 3', 'python3')
  if (!(await run(python, ['-m', 'pip', '--version'])).ok) throw missing('pip for Python 3', 'python3-pip')
  return python
}

async function hasVersion(program, [major, minor]) {
  // It is asked, not only looked for: a shim on the path may stand for nothing.
  const { ok, stdout } = await run(program, ['--version'])
  const found = ok && /(\d+)\.(\d+)/.exec(stdout)
  return Boolean(found) && (Number(found[1]) > major || (Number(found[1]) === major && Number(found[2]) >= minor))
}

export const hasCmake = () => hasVersion('cmake', [3, 22])
export const hasNinja = () => hasVersion('ninja', [1, 8])
