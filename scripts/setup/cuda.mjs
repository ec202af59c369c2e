import { existsSync } from 'node:fs'
import path from 'node:path'
import { checkPlatform } from '../../lib/platform/wheels/problem.mjs'
import { pathWithCmake, removeForeignBuild } from './cmake.mjs'
import { announce, run } from './command.mjs'
import { cudaEnvironment, cudaLibraries } from './cuda-libraries.mjs'
import { buildIdOf, nativeHash } from './native.mjs'
import { SetupProblem } from './problem.mjs'
import { isCurrent, removeStamp, stampedHash, writeStamp } from './stamp.mjs'
import { findCompiler, findNvcc } from './tools.mjs'

const folder = 'build-cuda'

const stampFileOf = (root) => path.join(root, folder, '.stamp')
const productOf = (root) => path.join(root, folder, 'Release', 'libvggnet_cuda.so')

/** Returns the CUDA library if it was built from this source. If it was built from another source, prints a message. */
export function builtCudaLibrary(root) {
  const product = productOf(root)
  if (!existsSync(product)) return []
  if (stampedHash(stampFileOf(root), [product])?.startsWith(nativeHash(root))) return [product]
  process.stderr.write(
    'setup: the CUDA library was built from another source and stays out of the package; `npm run build:cuda` builds it\n',
  )
  return []
}

async function runCmake(parameters, env) {
  const { ok, output } = await run('cmake', parameters, { env })
  if (!ok) {
    throw new SetupProblem('BUILD_FAILED', 'the CUDA build failed (cmake); its output is above', output)
  }
}

/** Builds libvggnet_cuda.so, unless its stamp is that of this source and these libraries. */
export async function buildCuda(root) {
  checkPlatform()
  const nvcc = await findNvcc() // before anything large is fetched
  const libraries = cudaEnvironment(await cudaLibraries())
  const architectures = process.env.VGGNET_CUDA_ARCHITECTURES ?? ''
  const hash = nativeHash(root)
  const key = [hash, architectures, ...Object.values(libraries)].join(' ')
  const out = path.join(root, folder)
  const stampFile = stampFileOf(root)
  const products = [productOf(root)]
  if (isCurrent(stampFile, key, products)) return
  const compiler = await findCompiler()
  const env = { PATH: await pathWithCmake() }
  await announce('CUDA library (some minutes when new)', async () => {
    const source = path.join(root, 'native', 'backend', 'cuda')
    const tools = { CMAKE_CXX_COMPILER: compiler, CMAKE_CUDA_COMPILER: nvcc, CMAKE_CUDA_HOST_COMPILER: compiler }
    removeStamp(stampFile)
    removeForeignBuild(out, { CMAKE_HOME_DIRECTORY: source, ...tools })
    const definitions = {
      ...tools,
      ...libraries,
      CMAKE_BUILD_TYPE: 'Release',
      VGGNET_BUILD_ID: buildIdOf(root),
      VGGNET_CUDA_ARCHITECTURES: architectures,
    }
    const words = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`)
    await runCmake(['-S', source, '-B', out, '-G', 'Ninja', ...words], env)
    await runCmake(['--build', out], env)
    writeStamp(stampFile, key, products)
  })
}
