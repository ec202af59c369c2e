import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { announce, run } from './command.mjs'
import { builtCudaLibrary } from './cuda.mjs'
import { manifestHolds, readManifest, sha256Of, writeManifest } from './manifest.mjs'
import { buildIdOf, buildNative, builds, productsOf } from './native.mjs'
import { SetupProblem } from './problem.mjs'
import { stampHolds, writeStamp } from './stamp.mjs'
import { compilerName } from './tools.mjs'

// As prebuildify names it and node-gyp-build finds it: any Node-API version of Node, with glibc.
const addon = 'vggnet.glibc.node'

const folderOf = (root) => path.join(root, 'prebuilds')
const binariesIn = (folder) => path.join(folder, 'linux-x64')
const stampFileIn = (folder) => path.join(folder, '.stamp')

const buildOf = (root) => ({
  version: JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version,
  buildId: buildIdOf(root),
})

// prebuildify strips a build and removes the addon from it, so it works on a copy.
function stageBuild(root, products, stage) {
  const out = path.dirname(productsOf(stage, builds.release)[0])
  mkdirSync(out, { recursive: true })
  copyFileSync(path.join(root, 'package.json'), path.join(stage, 'package.json'))
  for (const source of products) {
    const copy = path.join(out, path.basename(source))
    copyFileSync(source, copy)
    chmodSync(copy, 0o755)
  }
}

async function runPrebuildify(root, stage) {
  const program = path.join(root, 'node_modules', 'prebuildify', 'bin.js')
  // The code is built already, so the build program is `true`.
  const tools = ['--node-gyp', 'true', '--cache', path.join(stage, 'cache')]
  const parameters = ['--napi', '--tag-libc', '--strip', ...tools, '--cwd', stage]
  const { ok, output } = await run(process.execPath, [program, ...parameters], { cwd: root })
  if (!ok) throw new SetupProblem('BUILD_FAILED', 'prebuildify failed; its output is above', output)
}

/** Removes prebuilt binaries of other sources, so that they are never packed. */
export function removeStalePrebuild(root) {
  const folder = folderOf(root)
  if (!existsSync(folder)) return
  const { version, buildId } = buildOf(root)
  const found = readManifest(binariesIn(folder))
  if (found?.version !== version || found.buildId !== buildId) rmSync(folder, { recursive: true, force: true })
}

function prebuildIsCurrent(folder, key) {
  return stampHolds(stampFileIn(folder), key) && manifestHolds(binariesIn(folder))
}

/**
 * Makes prebuilds/: the stripped release build, and the CUDA library if it was built from this source, with a manifest. A package
 * contains no other native files. The folder appears complete or not at all.
 */
export async function makePrebuild(root) {
  const folder = folderOf(root)
  await buildNative(root, builds.release)
  const products = [...productsOf(root, builds.release), ...builtCudaLibrary(root)]
  const build = buildOf(root)
  const key = [build.version, build.buildId, ...products.map(sha256Of)].join(' ')
  if (prebuildIsCurrent(folder, key)) return
  rmSync(folder, { recursive: true, force: true })
  await announce('prebuilt binary', async () => {
    const stage = path.join(root, builds.release.folder, 'prebuildify')
    rmSync(stage, { recursive: true, force: true })
    try {
      stageBuild(root, products, stage)
      await runPrebuildify(root, stage)
      const fresh = folderOf(stage)
      const names = [addon, ...products.slice(1).map((product) => path.basename(product))]
      const missing = names.find((name) => !existsSync(path.join(binariesIn(fresh), name)))
      if (missing) {
        const target = path.join(binariesIn(folder), missing)
        throw new SetupProblem('BUILD_FAILED', `prebuildify did not make ${target}; are PREBUILD_ variables set?`)
      }
      await writeManifest(binariesIn(fresh), { ...build, compiler: await compilerName() })
      writeStamp(stampFileIn(fresh), key, [])
      renameSync(fresh, folder)
    } finally {
      rmSync(stage, { recursive: true, force: true })
    }
  })
}
