import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { announce, run } from './command.mjs'
import { buildNative, builds, nativeHash, oneDnnFolder, productsOf } from './native.mjs'
import { SetupProblem } from './problem.mjs'
import { isCurrent, removeStamp, writeStamp } from './stamp.mjs'

// As prebuildify names them and node-gyp-build finds them: any Node-API version of Node, with glibc.
const names = ['vggnet.glibc.node', 'libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0']
const oneDnnLicences = ['LICENSE', 'THIRD-PARTY-PROGRAMS']

// prebuildify strips the build it is given and takes the addon out of it: it is given a copy.
function stageBuild(root, stage) {
  const copies = productsOf(stage, builds.release)
  mkdirSync(path.dirname(copies[0]), { recursive: true })
  copyFileSync(path.join(root, 'package.json'), path.join(stage, 'package.json'))
  for (const [index, source] of productsOf(root, builds.release).entries()) {
    copyFileSync(source, copies[index])
    chmodSync(copies[index], 0o755)
  }
}

async function runPrebuildify(root) {
  const program = path.join(root, 'node_modules', 'prebuildify', 'bin.js')
  const stage = path.join(root, builds.release.folder, 'prebuildify')
  rmSync(stage, { recursive: true, force: true })
  try {
    stageBuild(root, stage)
    // The build is there already, so that the program to build with is `true`.
    const tools = ['--node-gyp', 'true', '--cache', path.join(stage, 'cache')]
    const parameters = ['--napi', '--tag-libc', '--strip', ...tools, '--cwd', stage, '--out', root]
    const { ok, output } = await run(process.execPath, [program, ...parameters], { cwd: root })
    if (!ok) throw new SetupProblem('BUILD_FAILED', 'prebuildify failed; its output is above', output)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** prebuilds/: the release build, stripped, and the licences of its libraries. The only native files that a packed package carries. */
export async function makePrebuild(root) {
  const folder = path.join(root, 'prebuilds')
  const stampFile = path.join(folder, '.stamp')
  const products = names.map((name) => path.join(folder, 'linux-x64', name))
  const hash = nativeHash(root)
  if (isCurrent(stampFile, hash, products)) return
  await buildNative(root, builds.release)
  await announce('prebuilt binary', async () => {
    removeStamp(stampFile)
    rmSync(folder, { recursive: true, force: true })
    await runPrebuildify(root)
    const missing = products.find((product) => !existsSync(product))
    if (missing) {
      throw new SetupProblem('BUILD_FAILED', `prebuildify did not make ${missing}; are PREBUILD_ variables set?`)
    }
    const texts = path.join(folder, 'licenses')
    mkdirSync(texts)
    for (const name of oneDnnLicences) {
      copyFileSync(path.join(await oneDnnFolder(), 'share', 'doc', 'onednn', name), path.join(texts, `oneDNN-${name}`))
    }
    copyFileSync(path.join(root, 'scripts', 'setup', 'libjpeg-turbo.txt'), path.join(texts, 'libjpeg-turbo-LICENSE'))
    writeStamp(stampFile, hash, products)
  })
}
