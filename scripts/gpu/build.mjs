// The addon, the CUDA library and dist/ without npm, cmake-js or tsc: a bare machine has none of them.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathWithCmake, removeForeignBuild } from '../setup/cmake.mjs'
import { announce, run } from '../setup/command.mjs'
import { compileLibrary } from '../setup/compile.mjs'
import { buildCuda } from '../setup/cuda.mjs'
import { builds, nativeHash, nativeIsCurrent, oneDnnFolder, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { hashOf, isCurrent, removeStamp, writeStamp } from '../setup/stamp.mjs'
import { findCompiler } from '../setup/tools.mjs'
import { stampFileOf, takeCarriedBuilds } from './carried.mjs'

async function cmake(words, env) {
  const { ok, output } = await run('cmake', words, { env })
  if (!ok) throw new SetupProblem('BUILD_FAILED', 'the native build failed (cmake); its output is above', output)
}

// What cmake-js would pass: the headers of Node's stable interface, which come as packages.
async function buildAddon(root) {
  const build = builds.release
  if (nativeIsCurrent(root, build)) return
  const [compiler, oneDnn, hash] = [await findCompiler(), await oneDnnFolder(), nativeHash(root)]
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

/** Everything that a part needs. Builds that were carried and are of these sources are taken as they are. */
export async function buildAll(root) {
  const taken = takeCarriedBuilds(root, await oneDnnFolder())
  if (taken) process.stderr.write('gpu-check: the builds come from .gpu-carry\n')
  if (!taken) {
    await Promise.all([buildAddon(root), buildCuda(root)])
  }
  if (existsSync(path.join(root, 'node_modules', 'typescript'))) await compileLibrary(root)
  else await transpileLibrary(root)
}
