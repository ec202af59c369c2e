import path from 'node:path'
import { checkPlatform } from '../../lib/platform/wheels/problem.mjs'
import { pathWithCmake, removeForeignBuild } from './cmake.mjs'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'
import { hashOf, isCurrent, removeStamp, writeStamp } from './stamp.mjs'
import { findCompiler } from './tools.mjs'
import { fetched } from './wheel.mjs'

const sources = ['native', 'CMakeLists.txt', 'package-lock.json']

/** The two ways to build. The debug build is for tests: VGGNET_BINARY names its binary. */
export const builds = {
  release: { title: 'native code', folder: 'build', config: 'Release', definitions: [] },
  debug: {
    title: 'native code with sanitizers',
    folder: 'build-debug',
    config: 'Debug',
    definitions: ['VGGNET_SANITIZE=ON'],
  },
}

/** The hash that names a build of the native code: over native/, CMakeLists.txt and the lock file. */
export const nativeHash = (root) => hashOf(root, sources)

/** The build id of the binaries of this source. */
export const buildIdOf = (root) => nativeHash(root).slice(0, 16)

const mpis = /** @type {const} */ (['openmpi', 'mpich'])
const mpiLibraries = mpis.map((mpi) => `libvggnet_mpi_${mpi}.so`)

/** Lists the files of a build, the addon first. @returns {string[]} */
export function productsOf(root, build) {
  const folder = path.join(root, build.folder, build.config)
  const names = ['vggnet.node', 'libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0', ...mpiLibraries]
  return names.map((name) => path.join(folder, name))
}

const stampFileOf = (root, build) => path.join(root, build.folder, '.stamp')

export function nativeIsCurrent(root, build) {
  return isCurrent(stampFileOf(root, build), nativeHash(root), productsOf(root, build))
}

/** A folder with oneDNN's include/, lib/ and share/: VGGNET_ONEDNN_DIR, or in the cache. */
export const oneDnnFolder = async () => process.env.VGGNET_ONEDNN_DIR || fetched('onednn')

/** Folders with each MPI's include/mpi.h, by the name of CMake's setting; a variable of that name, or in the cache. */
export async function mpiFolders() {
  /** @type {Record<string, string>} */
  const folders = {}
  for (const mpi of mpis) {
    const name = `VGGNET_${mpi.toUpperCase()}_DIR`
    folders[name] = process.env[name] || (await fetched(mpi))
  }
  return folders
}

async function runCmakeJs(root, build, command, definitions, env) {
  const program = path.join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js')
  const parameters = [
    command,
    '--directory',
    root,
    '--out',
    path.join(root, build.folder),
    '--config',
    build.config,
    '--generator',
    'Ninja',
  ]
  for (const definition of definitions) parameters.push(`--CD${definition}`)
  const { ok, output } = await run(process.execPath, [program, ...parameters], { cwd: root, env })
  if (!ok)
    throw new SetupProblem('BUILD_FAILED', `the native build failed (cmake-js ${command}); its output is above`, output)
}

/** Builds the addon, unless its stamp is that of this source. */
export async function buildNative(root, build) {
  if (nativeIsCurrent(root, build)) return
  checkPlatform()
  const compiler = await findCompiler()
  const onednn = await oneDnnFolder()
  const mpi = await mpiFolders()
  const env = { PATH: await pathWithCmake() }
  await announce(`${build.title} (a minute or two when new)`, async () => {
    const hash = nativeHash(root)
    const stampFile = stampFileOf(root, build)
    removeStamp(stampFile)
    removeForeignBuild(path.join(root, build.folder), {
      CMAKE_HOME_DIRECTORY: root,
      CMAKE_CXX_COMPILER: compiler,
    })
    const definitions = [
      `VGGNET_ONEDNN_DIR=${onednn}`,
      ...Object.entries(mpi).map(([name, folder]) => `${name}=${folder}`),
      `VGGNET_BUILD_ID=${buildIdOf(root)}`,
      `CMAKE_CXX_COMPILER=${compiler}`,
      ...build.definitions,
    ]
    await runCmakeJs(root, build, 'configure', definitions, env)
    await runCmakeJs(root, build, 'build', [], env)
    writeStamp(stampFile, hash, productsOf(root, build))
  })
}
