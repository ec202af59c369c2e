// .gpu-carry: what a bare machine lacks, made by pack.mjs on another one; .gpu-check: what was unpacked from it.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { isolated } from '../../lib/platform/wheels/python.mjs'
import { builds, nativeHash, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { removeStamp, writeStamp } from '../setup/stamp.mjs'

export const carryFolder = (root) => path.join(root, '.gpu-carry')
export const unpackedFolder = (root) => path.join(root, '.gpu-check')

/** The set-up's cache as carried: oneDNN and the headers of the cuDNN frontend. */
export const carriedCache = (root) => path.join(unpackedFolder(root), 'cache')

export const cudaProduct = (root) => path.join(root, 'build-cuda', 'Release', 'libvggnet_cuda.so')
export const stampFileOf = (root, folder) => path.join(root, folder, '.stamp')

function extract(archive, folder) {
  mkdirSync(folder, { recursive: true })
  const byTar = spawnSync('tar', ['-xJf', archive, '-C', folder])
  if (byTar.status === 0) return
  const program = 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])'
  const { words, cwd } = isolated(['-c', program, path.resolve(archive), path.resolve(folder)])
  const { status, stderr } = spawnSync('python3', words, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new SetupProblem('BUILD_FAILED', `${archive} could not be unpacked`, stderr ?? '')
}

/** node_modules and the cache, where the archive is newer than what was unpacked. */
export function unpackCarried(root) {
  const archive = path.join(carryFolder(root), 'packages.tar.xz')
  if (!existsSync(archive)) return
  const mark = path.join(unpackedFolder(root), 'unpacked')
  if (existsSync(mark) && statSync(mark).mtimeMs > statSync(archive).mtimeMs) return
  const fresh = path.join(unpackedFolder(root), 'fresh')
  rmSync(fresh, { recursive: true, force: true })
  extract(archive, fresh)
  rmSync(carriedCache(root), { recursive: true, force: true })
  renameSync(path.join(fresh, 'cache'), carriedCache(root))
  // a checkout with packages of its own keeps them
  if (!existsSync(path.join(root, 'node_modules'))) {
    renameSync(path.join(fresh, 'node_modules'), path.join(root, 'node_modules'))
  }
  rmSync(fresh, { recursive: true, force: true })
  copyFileSync(path.join(carryFolder(root), 'names.txt'), mark)
}

function takeProduct(from, to) {
  mkdirSync(path.dirname(to), { recursive: true })
  copyFileSync(from, `${to}.new`)
  renameSync(`${to}.new`, to)
}

/** Moves carried builds to their folders if they are of these sources. Returns whether there were any. */
export function takeCarriedBuilds(root, oneDnn) {
  const built = path.join(carryFolder(root), 'built')
  const hashFile = path.join(built, 'hash')
  const hash = nativeHash(root)
  if (!existsSync(hashFile) || readFileSync(hashFile, 'utf8').trim() !== hash) return false
  const products = productsOf(root, builds.release)
  const [addon, dnnl, gomp, turbojpeg] = products
  takeProduct(path.join(built, 'vggnet.node'), addon)
  takeProduct(path.join(built, 'libgomp.so.1'), gomp)
  takeProduct(path.join(built, 'libturbojpeg.so.0'), turbojpeg)
  takeProduct(path.join(oneDnn, 'lib', 'libdnnl.so.3'), dnnl)
  writeStamp(stampFileOf(root, builds.release.folder), hash, products)
  takeProduct(path.join(built, 'libvggnet_cuda.so'), cudaProduct(root))
  removeStamp(stampFileOf(root, 'build-cuda'))
  return true
}

const plansArchive = 'plans.tgz'

/** The plans that a card chose before, as `keepPlans` left them there: choosing takes minutes, and a lent machine forgets. */
export function takeCarriedPlans(root) {
  const archive = path.join(carryFolder(root), plansArchive)
  if (!existsSync(archive)) return
  mkdirSync(cacheFolder(), { recursive: true })
  spawnSync('tar', ['-xzf', archive, '-C', cacheFolder(), '--skip-old-files'])
}

/** Puts the plans beside the results, to be carried to the next machine. */
export function keepPlans(folder) {
  if (!existsSync(path.join(cacheFolder(), 'plans'))) return
  spawnSync('tar', ['-czf', path.join(folder, plansArchive), '-C', cacheFolder(), 'plans'])
}
