import path from 'node:path'
import { run } from '../../../scripts/setup/command.mjs'
import { buildIdOf, builds } from '../../../scripts/setup/native.mjs'
import { findCompiler } from '../../../scripts/setup/tools.mjs'
import { buildWithCmake, root } from '../../setup/cmake.mjs'

/**
 * Builds the addon with ThreadSanitizer.
 * @returns {Promise<Record<string, string>>} the environment in which Node runs it
 */
export async function buildForThreads() {
  const debugBuild = path.join(root, builds.debug.folder)
  const output = path.join(debugBuild, 'threads')
  const turbojpeg = path.join(debugBuild, 'libturbojpeg.so.0')
  await buildWithCmake(import.meta.dirname, output, [
    `VGGNET_BUILD_ID=${buildIdOf(root)}`,
    `VGGNET_TURBOJPEG=${turbojpeg}`,
  ])
  const compiler = await findCompiler()
  const libraries = await Promise.all(
    ['libtsan.so', 'libstdc++.so.6'].map((name) => run(compiler, [`-print-file-name=${name}`])),
  )
  const suppressions = path.join(import.meta.dirname, 'suppressions.txt')
  return {
    VGGNET_BINARY: path.join(output, 'vggnet.node'),
    LD_PRELOAD: libraries.map(({ stdout }) => path.normalize(stdout.trim())).join(' '),
    TSAN_OPTIONS: `suppressions=${suppressions}:exitcode=66:halt_on_error=0:second_deadlock_stack=1`,
  }
}
