// The addon, the CUDA library and dist/ without npm, cmake-js or tsc: a bare machine has none of them.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathWithCmake, removeForeignBuild } from '../setup/cmake.mjs'
import { announce, run } from '../setup/command.mjs'
import { compileLibrary, libraryIsCurrent } from '../setup/compile.mjs'
import { buildCuda } from '../setup/cuda.mjs'
import { cudaEnvironment, cudaLibraries } from '../setup/cuda-libraries.mjs'
import { builds, mpiFolders, nativeHash, nativeIsCurrent, oneDnnFolder, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { hashOf, isCurrent, removeStamp, writeStamp } from '../setup/stamp.mjs'
import { findCompiler, findNvcc } from '../setup/tools.mjs'
import { cudaIsBuilt, stampFileOf, takeCarriedBuilds } from './carried.mjs'
import { findCard } from './machine.mjs'

async function cmake(words, env) {
  const { ok, output } = await run('cmake', words, { env })
  if (!ok) throw new SetupProblem('BUILD_FAILED', 'the native build failed (cmake); its output is above', output)
}

// What cmake-js would pass: the headers of Node's stable interface, which come as packages.
async function buildAddon(root) {
  const build = builds.release
  if (nativeIsCurrent(root, build)) return
  const [compiler, oneDnn, mpi] = [await findCompiler(), await oneDnnFolder(), await mpiFolders()]
  const hash = nativeHash(root)
  const env = { PATH: await pathWithCmake() }
  await announce('native code (cmake)', async () => {
    const out = path.join(root, build.folder)
    const stampFile = stampFileOf(root, build.folder)
    removeStamp(stampFile)
    removeForeignBuild(out, { CMAKE_HOME_DIRECTORY: root, CMAKE_CXX_COMPILER: compiler })
    const headers = ['node-api-headers/include', 'node-addon-api'].map((name) => path.join(root, 'node_modules', name))
    const definitions = {
      CMAKE_BUILD_TYPE: build.config,
      CMAKE_CXX_COMPILER: compiler,
      CMAKE_JS_INC: headers.join(';'),
      VGGNET_ONEDNN_DIR: oneDnn,
      ...mpi,
      VGGNET_BUILD_ID: hash.slice(0, 16),
    }
    const words = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`)
    await cmake(['-S', root, '-B', out, '-G', 'Ninja', ...words], env)
    await cmake(['--build', out], env)
    writeStamp(stampFile, hash, productsOf(root, build))
  })
}

const filesUnder = (folder, suffix) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(suffix))
    .map((name) => path.join(folder, name))

// dist/ file by file: esbuild drops the types, as tsc would.
async function transpileLibrary(root) {
  const folder = path.join(root, 'dist')
  const stampFile = path.join(folder, '.stamp')
  const products = [path.join(folder, 'index.js')]
  const hash = hashOf(root, ['lib', 'tsconfig.json', 'tsconfig.build.json'])
  if (isCurrent(stampFile, hash, products)) return
  await announce('TypeScript (esbuild)', async () => {
    rmSync(folder, { recursive: true, force: true })
    const { build } = createRequire(path.join(root, 'package.json'))('esbuild')
    await build({
      entryPoints: filesUnder(path.join(root, 'lib'), '.ts'),
      outdir: folder,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: true,
      logLevel: 'error',
    })
    for (const file of filesUnder(path.join(root, 'lib'), '.mjs')) {
      const copy = path.join(folder, path.relative(path.join(root, 'lib'), file))
      mkdirSync(path.dirname(copy), { recursive: true })
      copyFileSync(file, copy)
    }
    writeStamp(stampFile, hash, products)
  })
}

// The first numbers of the capabilities that the usual build, sm_80 and sm_90, has code for.
const usualCapabilities = ['8', '9']

async function buildBinaries(root, capability) {
  const { env } = process
  const nvcc = await findNvcc()
  env.PATH = `${env.PATH}${path.delimiter}${path.dirname(nvcc)}`
  env.VGGNET_CUDA_ARCHITECTURES ??= `${capability.replace('.', '')}-real`
  Object.assign(env, cudaEnvironment(await cudaLibraries()))
  console.log(`nvcc ${nvcc}, for ${env.VGGNET_CUDA_ARCHITECTURES}`)
  console.log(`headers ${env.VGGNET_CUDA_INCLUDES}\nlibraries ${env.VGGNET_CUDA_LIBRARIES}`)
  await Promise.all([buildAddon(root), buildCuda(root)])
}

const binariesAreBuilt = (root) => nativeIsCurrent(root, builds.release) && cudaIsBuilt(root)

/** Everything that a part needs. A compiler is needed only where neither the checkout nor .gpu-carry has builds of these sources. */
export async function buildAll(root) {
  if (!binariesAreBuilt(root) || !libraryIsCurrent(root)) await takeCarriedBuilds(root)
  const capability = findCard()?.capability ?? '9.0'
  if (!binariesAreBuilt(root) || !usualCapabilities.includes(capability.split('.')[0]))
    await buildBinaries(root, capability)
  if (libraryIsCurrent(root)) return
  if (existsSync(path.join(root, 'node_modules', 'typescript'))) await compileLibrary(root)
  else await transpileLibrary(root)
}
