import path from 'node:path'
import { installCommand, missingTool, pathOf } from '../../lib/platform/wheels/python.mjs'
import { run } from './command.mjs'
import { SetupProblem } from './problem.mjs'

export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 17)) return
  throw new SetupProblem('UNSUPPORTED_PLATFORM', `Expected Node 20.17 or later for vggnet but received ${version}`)
}

/** @returns {Promise<string>} the path of a C++ compiler, g++ 11 or later ($CXX where it is set) */
export async function findCompiler() {
  const compiler = process.env.CXX || 'g++'
  const file = pathOf(compiler)
  const { ok, stdout } = file ? await run(file, ['-dumpfullversion', '-dumpversion']) : { ok: false, stdout: '' }
  if (!ok)
    throw missingTool(compiler === 'g++' ? 'g++' : `the compiler named by CXX (${compiler})`, 'g++', 'build vggnet')
  const version = stdout.trim()
  if (Number.parseInt(version, 10) < 11) {
    throw new SetupProblem(
      'MISSING_TOOL',
      `Expected g++ 11 or later but received ${version} (${compiler}): install it with \`${installCommand('g++-11')}\` and set CXX=g++-11`,
    )
  }
  return file
}

/** Returns the version line of the C++ compiler: `g++ (Debian 12.2.0-14+deb12u1) 12.2.0`. */
export async function compilerName() {
  const { stdout } = await run(await findCompiler(), ['--version'])
  return stdout.split('\n')[0]
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

async function hasVersion(program, [major, minor]) {
  // A shim on the search path may exist without the program, so it is run.
  const { ok, stdout } = await run(program, ['--version'])
  const found = ok && /(\d+)\.(\d+)/.exec(stdout)
  return Boolean(found) && (Number(found[1]) > major || (Number(found[1]) === major && Number(found[2]) >= minor))
}

export const hasCmake = () => hasVersion('cmake', [3, 22])
export const hasNinja = () => hasVersion('ninja', [1, 8])
