import path from 'node:path'
import { pathWithCmake, removeForeignBuild } from '../../scripts/setup/cmake.mjs'
import { run } from '../../scripts/setup/command.mjs'
import { SetupProblem } from '../../scripts/setup/problem.mjs'
import { findCompiler } from '../../scripts/setup/tools.mjs'

export const root = path.resolve(import.meta.dirname, '../..')

/** Builds the CMake project of a folder, with settings as `NAME=value`, by the compiler of the product or another one. */
export async function buildWithCmake(source, output, settings, compiler = undefined) {
  const env = { PATH: await pathWithCmake() }
  compiler ??= await findCompiler()
  const cmake = async (...parameters) => {
    const { ok, output: printed } = await run('cmake', parameters, { cwd: root, env })
    if (!ok) throw new SetupProblem('BUILD_FAILED', `cmake ${parameters[0]} failed:\n${printed}`, printed)
  }
  removeForeignBuild(output, { CMAKE_HOME_DIRECTORY: source, CMAKE_CXX_COMPILER: compiler })
  const definitions = [`CMAKE_CXX_COMPILER=${compiler}`, ...settings].map((setting) => `-D${setting}`)
  await cmake('-S', source, '-B', output, '-G', 'Ninja', ...definitions)
  await cmake('--build', output)
}
