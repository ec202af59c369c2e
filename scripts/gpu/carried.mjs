// .gpu-carry: what a bare machine lacks, made by pack.mjs on another one; .gpu-check: what was unpacked from it.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from '../../lib/platform/wheels/cache.mjs'
import { isolated } from '../../lib/platform/wheels/python.mjs'
import { libraryIsCurrent } from '../setup/compile.mjs'
import { builds, nativeHash, oneDnnFolder, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { stampedHash, writeStamp } from '../setup/stamp.mjs'

export const buildsArchive = 'builds.tar.xz'
export const carryFolder = (root) => path.join(root, '.gpu-carry')
export const unpackedFolder = (root) => path.join(root, '.gpu-check')

/** The cache of the set-up as carried: oneDNN, and the headers of the cuDNN frontend and of each MPI. */
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

/** Whether the CUDA library was built from these sources, for whichever GPUs. */
export const cudaIsBuilt = (root) =>
  stampedHash(stampFileOf(root, 'build-cuda'), [cudaProduct(root)])?.startsWith(nativeHash(root)) ?? false

async function takeBinaries(root, built) {
  const hash = nativeHash(root)
  const products = productsOf(root, builds.release)
  for (const product of products) {
    const name = path.basename(product)
    const carried = path.join(built, name)
    takeProduct(existsSync(carried) ? carried : path.join(await oneDnnFolder(), 'lib', name), product)
  }
  writeStamp(stampFileOf(root, builds.release.folder), hash, products)
  takeProduct(path.join(built, path.basename(cudaProduct(root))), cudaProduct(root))
  writeStamp(stampFileOf(root, 'build-cuda'), `${hash} carried`, [cudaProduct(root)])
}

/** Moves the carried builds that are of these sources to their folders. */
export async function takeCarriedBuilds(root) {
  const archive = path.join(carryFolder(root), buildsArchive)
  if (!existsSync(archive)) return
  const built = path.join(unpackedFolder(root), 'built')
  rmSync(built, { recursive: true, force: true })
  extract(archive, built)
  if (readFileSync(path.join(built, 'hash'), 'utf8') === nativeHash(root)) {
    await takeBinaries(root, built)
    process.stderr.write('gpu-check: the binaries come from .gpu-carry\n')
  } else process.stderr.write('gpu-check: the binaries in .gpu-carry are of other sources: --pack renews them\n')
  if (libraryIsCurrent(root, path.join(built, 'dist'))) {
    rmSync(path.join(root, 'dist'), { recursive: true, force: true })
    renameSync(path.join(built, 'dist'), path.join(root, 'dist'))
  }
  rmSync(built, { recursive: true, force: true })
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
  const archive = path.join(folder, plansArchive)
  const { status } = spawnSync('tar', ['-czf', `${archive}.new`, '-C', cacheFolder(), 'plans'])
  if (status === 0) renameSync(`${archive}.new`, archive)
}
