import { execFile, spawn } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { manifestHolds, readManifest } from '../../scripts/setup/manifest.mjs'
import { builds, nativeHash, productsOf } from '../../scripts/setup/native.mjs'
import { writeStamp } from '../../scripts/setup/stamp.mjs'
import { newFolder, writeFiles } from './folder.js'
import { addon, fillCheckout, setUp } from './small-checkout.js'

const run = promisify(execFile)

let made: string
let root: string

// One build for all: each test gets a copy, times included.
beforeAll(async () => {
  made = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  fillCheckout(made)
  expect(await setUp(made, 'native', 'library', 'prebuild')).toMatchObject({ ok: true })
})
afterAll(() => rmSync(made, { recursive: true, force: true }))

beforeEach(async () => {
  vi.unstubAllEnvs()
  root = path.join(newFolder(), 'clone')
  // cpSync would round the times, which are part of a stamp.
  await run('cp', ['-a', made, root])
})

const inRoot = (name: string) => path.join(root, name)
const binaries = () => inRoot('prebuilds/linux-x64')
const tarballs = () => readdirSync(root).filter((name) => name.endsWith('.tgz'))

/** Runs the parts of the set-up that package.json names in `prepack`, the script that `npm pack` runs first. */
function prepack() {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const [program, script, ...parts] = scripts.prepack.split(' ')
  expect([program, script]).toEqual(['node', 'scripts/setup.mjs'])
  return setUp(root, ...parts)
}

const npmPack = () =>
  run('npm', ['pack'], { cwd: root, env: { ...process.env, CI: 'true' } }).then(
    ({ stderr }) => ({ ok: true, stderr }),
    ({ stderr }) => ({ ok: false, stderr: String(stderr) }),
  )

async function answerOf(folder: string): Promise<string> {
  const program = 'console.log(require("node-gyp-build")(process.argv[1]).answer)'
  return (await run(process.execPath, ['-e', program, folder])).stdout.trim()
}

async function unpacked(): Promise<string> {
  const folder = newFolder()
  await run('tar', ['-xzf', path.join(root, tarballs()[0]), '-C', folder])
  return path.join(folder, 'package')
}

describe('npm pack', () => {
  test('packs the native code and the library of the current sources', async () => {
    writeFiles(root, { 'native/addon.cpp': addon('2'), 'lib/index.ts': 'export const answer: number = 2\n' })
    expect(await npmPack()).toMatchObject({ ok: true })
    const packed = await unpacked()
    expect(await answerOf(packed)).toBe('2')
    expect(readFileSync(path.join(packed, 'dist/index.js'), 'utf8')).toContain('answer = 2')
    expect(manifestHolds(path.join(packed, 'prebuilds/linux-x64'))).toBe(true)
    expect(readManifest(path.join(packed, 'prebuilds/linux-x64'))?.buildId).toBe(nativeHash(root).slice(0, 16))
  })

  test.each([
    ['native code', { 'native/addon.cpp': addon('wrong') }],
    ['TypeScript', { 'lib/index.ts': "export const answer: number = 'one'\n" }],
  ])('packs nothing if the %s does not compile', async (_, sources) => {
    writeFiles(root, sources)
    const { ok, stderr } = await npmPack()
    expect(ok).toBe(false)
    expect(stderr).toContain('[BUILD_FAILED]')
    expect(tarballs()).toEqual([])
  })

  test('installs the packages of a fresh clone first, and compiles what is missing', async () => {
    for (const name of ['dist', 'prebuilds', 'node_modules']) rmSync(inRoot(name), { recursive: true })
    const npm = path.join(newFolder(), 'npm-cli.js')
    const link = `require('node:fs').symlinkSync(${JSON.stringify(path.resolve('node_modules'))}, 'node_modules')`
    writeFileSync(npm, `require('node:fs').writeFileSync('npm-words', process.argv.slice(2).join(' ')); ${link}`)
    vi.stubEnv('npm_execpath', npm)
    expect(await prepack()).toMatchObject({ ok: true, stderr: expect.stringMatching(/^setup: npm ci .*\nsetup: Type/) })
    expect(readFileSync(inRoot('npm-words'), 'utf8')).toMatch(/^ci --ignore-scripts --no-dry-run /)
    expect(manifestHolds(binaries())).toBe(true)
    expect(await prepack()).toMatchObject({ ok: true, stderr: '' })
  })
})

describe('prebuilt binaries that differ from their manifest or sources', () => {
  test('are made again', async () => {
    const file = path.join(binaries(), 'libdnnl.so.3')
    const { atime, mtime } = statSync(file)
    truncateSync(file, 20_000_000)
    utimesSync(file, atime, mtime)
    writeFiles(binaries(), { 'aaa.node': 'a stranger' })
    expect((await prepack()).stderr).toMatch(/^setup: prebuilt binary .*\n$/)
    expect(manifestHolds(binaries())).toBe(true)
    // the same bytes: the manifest has the hash of each
    const manifest = 'prebuilds/linux-x64/manifest.json'
    expect(readFileSync(inRoot(manifest), 'utf8')).toBe(readFileSync(path.join(made, manifest), 'utf8'))
    expect((await prepack()).stderr).toBe('')
  })

  test('are removed by the next set-up after a change of the native source or the version', async () => {
    writeFiles(root, { 'native/addon.cpp': addon('2') })
    expect((await setUp(root, 'library')).ok).toBe(true)
    expect(existsSync(inRoot('prebuilds'))).toBe(false)
    expect(await prepack()).toMatchObject({ ok: true })
    const described = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'))
    writeFiles(root, { 'package.json': JSON.stringify({ ...described, version: '99.0.0' }) })
    expect((await setUp(root, 'library')).ok).toBe(true)
    expect(existsSync(inRoot('prebuilds'))).toBe(false)
  })

  test('are made again after the build was linked with another library', async () => {
    appendFileSync(inRoot('build/Release/libgomp.so.1'), '\0')
    writeStamp(inRoot('build/.stamp'), nativeHash(root), productsOf(root, builds.release))
    expect((await prepack()).stderr).toMatch(/^setup: prebuilt binary .*\n$/)
  })
})

test('a killed set-up leaves prebuilt binaries complete or not at all', async () => {
  const seen = { whole: 0, absent: 0 }
  for (const wait of [0, 40, 120, 300]) {
    rmSync(inRoot('prebuilds'), { recursive: true, force: true })
    const child = spawn(process.execPath, [inRoot('scripts/setup.mjs'), 'prebuild'], {
      stdio: 'ignore',
      detached: true,
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    while (!existsSync(inRoot('build/prebuildify')) && child.exitCode === null) await setTimeout(2)
    await setTimeout(wait)
    if (child.exitCode === null) process.kill(-(child.pid as number), 'SIGKILL')
    await ended
    if (existsSync(inRoot('prebuilds'))) expect(manifestHolds(binaries())).toBe(true)
    seen[existsSync(inRoot('prebuilds')) ? 'whole' : 'absent']++
  }
  expect(seen.absent).toBeGreaterThan(0)
  expect(await prepack()).toMatchObject({ ok: true })
  expect(manifestHolds(binaries())).toBe(true)
  expect(existsSync(inRoot('build/prebuildify'))).toBe(false)
})

test('the library is compiled again if a file in dist/ was changed', async () => {
  const harms = [
    () => rmSync(inRoot('dist/index.d.ts')),
    () => appendFileSync(inRoot('dist/index.js'), '\n'),
    () => writeFiles(root, { 'dist/old/left.js': '' }),
  ]
  for (const harm of harms) {
    harm()
    expect((await prepack()).stderr).toMatch(/^setup: TypeScript .*\n$/)
    expect((await prepack()).stderr).toBe('')
  }
  expect(existsSync(inRoot('dist/old'))).toBe(false)
})

describe('the CUDA library', () => {
  // A library that strip and readelf can read; nothing here loads it.
  function buildOne(hash: string, like = 'libturbojpeg.so.0') {
    const file = inRoot('build-cuda/Release/libvggnet_cuda.so')
    mkdirSync(path.dirname(file), { recursive: true })
    copyFileSync(inRoot(`build/Release/${like}`), file)
    writeStamp(inRoot('build-cuda/.stamp'), `${hash} 80-real includes libraries`, [file])
  }
  const carried = () => existsSync(path.join(binaries(), 'libvggnet_cuda.so'))

  test('is packed, with its entry in the manifest, if it was built from this source', async () => {
    buildOne(nativeHash(root))
    expect(await prepack()).toMatchObject({ ok: true, stderr: expect.stringContaining('prebuilt binary') })
    expect(carried()).toBe(true)
    expect(readManifest(binaries())?.files).toHaveProperty('libvggnet_cuda.so')
    expect((await prepack()).stderr).toBe('')
    // the same source for other cards
    buildOne(nativeHash(root), 'libgomp.so.1')
    expect((await prepack()).stderr).toMatch(/^setup: prebuilt binary .*\n$/)
  })

  test('is left out with a message if it is incomplete or built from another source', async () => {
    buildOne(nativeHash(root))
    await prepack()
    writeFiles(root, { 'native/addon.cpp': addon('2') })
    const said =
      /the CUDA library was built from another source and stays out of the package; `npm run build:cuda` builds/
    expect(await prepack()).toMatchObject({ ok: true, stderr: expect.stringMatching(said) })
    expect(carried()).toBe(false)
    buildOne(nativeHash(root))
    rmSync(inRoot('build-cuda/.stamp'))
    expect((await prepack()).stderr).toMatch(said)
    expect(carried()).toBe(false)
  })
})
