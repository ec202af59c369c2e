import { chmodSync, copyFileSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { announce, run } from './command.mjs'
import { builds, nativeHash, oneDnnFolder, productsOf } from './native.mjs'
import { SetupProblem } from './problem.mjs'
import { isCurrent, removeStamp, writeStamp } from './stamp.mjs'

// The name is node-gyp-build's: any Node-API version of Node, with glibc.
const names = ['vggnet.glibc.node', 'libdnnl.so.3', 'libgomp.so.1']
const licences = ['LICENSE', 'THIRD-PARTY-PROGRAMS']

/**
 * Copies the release build, stripped, to prebuilds/: the only native files that a packed package carries. prebuildify
 * would compile once more and take the addon out of build/.
 */
export async function makePrebuild(root) {
  const folder = path.join(root, 'prebuilds')
  const binaries = path.join(folder, 'linux-x64')
  const stampFile = path.join(folder, '.stamp')
  const products = names.map((name) => path.join(binaries, name))
  const hash = nativeHash(root)
  if (isCurrent(stampFile, hash, products)) return
  await announce('prebuilt binary', async () => {
    removeStamp(stampFile)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(binaries, { recursive: true })
    for (const [index, source] of productsOf(root, builds.release).entries()) {
      copyFileSync(source, products[index])
      chmodSync(products[index], 0o755)
      const { ok, output } = await run('strip', ['--strip-unneeded', products[index]])
      if (!ok) throw new SetupProblem('BUILD_FAILED', `could not strip ${names[index]}`, output)
    }
    const texts = path.join(folder, 'licenses')
    mkdirSync(texts)
    for (const name of licences) {
      copyFileSync(path.join(await oneDnnFolder(), 'share', 'doc', 'onednn', name), path.join(texts, `oneDNN-${name}`))
    }
    writeStamp(stampFile, hash, products)
  })
}
