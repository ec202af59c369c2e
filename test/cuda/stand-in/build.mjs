import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { holdLock } from '../../../lib/platform/wheels/lock.mjs'
import { pathWithCmake, removeForeignBuild } from '../../../scripts/setup/cmake.mjs'
import { announce, run } from '../../../scripts/setup/command.mjs'
import { cudaLibraries } from '../../../scripts/setup/cuda-libraries.mjs'
import { buildNative, builds } from '../../../scripts/setup/native.mjs'
import { SetupProblem } from '../../../scripts/setup/problem.mjs'
import { sanitizerEnvironment } from '../../../scripts/setup/sanitizer.mjs'
import { findCompiler } from '../../../scripts/setup/tools.mjs'

/**
 * Builds the stand-in card, and the addon that it goes with; in release also `choice` and `check_sums` beside it.
 * @param {'release' | 'debug'} kind
 * @returns {Promise<Record<string, string>>} the environment in which Node finds it, as it would a card
 */
export async function buildStandIn(root, kind) {
  const compiler = await findCompiler()
  const folder = path.join(root, 'build-cuda', 'stand-in', kind)
  const source = path.join(root, 'test', 'cuda', 'stand-in')
  const env = { PATH: await pathWithCmake() }
  const cmake = async (...parameters) => {
    const { ok, output } = await run('cmake', parameters, { cwd: root, env })
    if (!ok) throw new SetupProblem('BUILD_FAILED', 'the stand-in card was not built; the output is above', output)
  }
  const compile = async () => {
    // cuDNN's frontend takes a minute to compile: what uses it is the CUDA library's
    const library = path.join(root, 'build-cuda')
    const objects = path.join('CMakeFiles', 'vggnet_cuda.dir')
    if (!existsSync(path.join(library, objects)))
      throw new SetupProblem('LIBRARY_MISSING', 'no CUDA library: npm run build:cuda builds it')
    await cmake('--build', library, '--target', path.join(objects, 'convolution_description.cpp.o'))
    const { includes } = await cudaLibraries()
    // the addon's, also where a source has been changed since
    const [hash] = readFileSync(path.join(root, builds[kind].folder, '.stamp'), 'utf8').split('\n')
    removeForeignBuild(folder, { CMAKE_HOME_DIRECTORY: source, CMAKE_CXX_COMPILER: compiler })
    const definitions = [
      `VGGNET_BUILD_ID=${hash.slice(0, 16)}`,
      `VGGNET_SANITIZE=${kind === 'debug' ? 'ON' : 'OFF'}`,
      `CMAKE_CXX_COMPILER=${compiler}`,
      `VGGNET_CUDA_INCLUDES=${includes.join(';')}`,
      `VGGNET_CUDA_OBJECTS=${path.join(library, objects)}`,
    ]
    await cmake('-S', source, '-B', folder, '-G', 'Ninja', ...definitions.map((definition) => `-D${definition}`))
    await cmake('--build', folder)
  }
  // two files of tests may want the release build at once
  await holdLock(folder, async () => {
    await buildNative(root, builds[kind])
    await announce(`stand-in card, ${kind} (a minute when new)`, compile)
  })
  return {
    ...(kind === 'debug' && (await sanitizerEnvironment(root))),
    VGGNET_CUDA_BINARY: path.join(folder, 'libvggnet_cuda.so'),
    VGGNET_CUDA_LIBRARIES: path.join(folder, 'libraries'),
    LD_LIBRARY_PATH: path.join(folder, 'driver'),
    VGGNET_STAND_IN: kind,
    OMP_WAIT_POLICY: 'passive', // many threads on few cores
    VGGNET_CACHE: path.join(folder, 'cache'), // for its plans
    // the network looks at memory between the stages
    ...(kind === 'debug' && { VGGNET_CUDA_GRAPHS: 'off' }),
  }
}
