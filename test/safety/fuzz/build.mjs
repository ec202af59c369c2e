import path from 'node:path'
import { missingTool, pathOf } from '../../../lib/platform/wheels/python.mjs'
import { builds } from '../../../scripts/setup/native.mjs'
import { buildWithCmake, root } from '../../setup/cmake.mjs'

const debugBuild = path.join(root, builds.debug.folder)

/**
 * Builds the targets over the debug build, with a driver of ours.
 * @returns {Promise<string>} the folder of the programs
 */
export async function buildTargets() {
  const output = path.join(debugBuild, 'fuzz')
  await buildWithCmake(import.meta.dirname, output, [`VGGNET_DEBUG_BUILD=${debugBuild}`])
  return output
}

const versions = Array.from({ length: 12 }, (_, index) => `clang++-${25 - index}`)

/**
 * Builds the targets with libFuzzer, and with the libjpeg-turbo whose source VGGNET_LIBJPEG_TURBO_SOURCE names.
 * @returns {Promise<string>} the folder of the programs
 */
export async function buildLibFuzzerTargets() {
  const clang = ['clang++', ...versions].map(pathOf).find((file) => file !== undefined)
  if (!clang) throw missingTool('clang++', 'clang', 'fuzz the native code')
  const output = path.join(debugBuild, 'fuzz-clang')
  const settings = [
    `VGGNET_DEBUG_BUILD=${debugBuild}`,
    `CMAKE_C_COMPILER=${clang.replace('clang++', 'clang')}`,
    `VGGNET_LIBJPEG_TURBO_SOURCE=${process.env.VGGNET_LIBJPEG_TURBO_SOURCE ?? ''}`,
  ]
  await buildWithCmake(import.meta.dirname, output, settings, clang)
  return output
}
