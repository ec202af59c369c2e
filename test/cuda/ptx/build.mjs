import { existsSync } from 'node:fs'
import path from 'node:path'
import { SetupProblem } from '../../../scripts/setup/problem.mjs'
import { buildWithCmake, root } from '../../setup/cmake.mjs'

/**
 * Makes nvcc's PTX of the product's kernels, and the programs that run it.
 * @returns {Promise<string>} the folder of the programs, with PTX in ptx/ and broken/
 */
export async function buildInterpreter() {
  const commands = path.join(root, 'build-cuda', 'compile_commands.json')
  if (!existsSync(commands)) throw new SetupProblem('LIBRARY_MISSING', 'no CUDA library: npm run build:cuda builds it')
  const output = path.join(root, 'build-cuda', 'ptx')
  await buildWithCmake(import.meta.dirname, output, [`VGGNET_CUDA_COMMANDS=${commands}`])
  return output
}
