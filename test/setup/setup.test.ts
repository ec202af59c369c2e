import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { builds, nativeIsCurrent } from '../../scripts/setup/native.mjs'
import { newFolder, writeFiles } from './folder.js'
import { addon, fillCheckout, setUp } from './small-checkout.js'

let made: string
let built: { ok: boolean; stdout: string; stderr: string }
let root: string

// One build for the tests that begin with one.
beforeAll(async () => {
  made = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  fillCheckout(made)
  built = await setUp(made, 'prebuild')
})
afterAll(() => rmSync(made, { recursive: true, force: true }))

beforeEach(() => {
  root = newFolder()
  fillCheckout(root)
})

/** Makes the checkout a copy of the one that was built, times included, as a clone that was moved. */
async function takeBuilt(): Promise<void> {
  expect(built.ok, built.stderr).toBe(true)
  root = path.join(newFolder(), 'moved')
  // cpSync would round the times, which are part of a stamp
  await promisify(execFile)('cp', ['-a', made, root])
}

const setup = (...parts: string[]) => setUp(root, ...parts)

const libraries = ['libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0']
const binary = () => path.join(root, 'build/Release/vggnet.node')

// In a process of its own: a loaded addon stays loaded.
async function loaded(): Promise<{ answer: number; buildId: string; oneDnn: number }> {
  const program = `console.log(JSON.stringify({ ...require(${JSON.stringify(binary())}) }))`
  return JSON.parse((await promisify(execFile)(process.execPath, ['-e', program])).stdout)
}

test('the native code is built once, and again after a change of a source; an old binary is never used', async () => {
  expect(built.stderr).toMatch(/^setup: native code .* done in/)
  await takeBuilt()
  const first = await loaded()
  expect(first.answer).toBe(1)
  expect(first.oneDnn).toBe(1)
  expect(first.buildId).toMatch(/^[0-9a-f]{16}$/)
  const { mtimeMs } = statSync(binary())

  expect(await setup('native')).toEqual({ ok: true, stdout: '', stderr: '' })
  expect(statSync(binary()).mtimeMs).toBe(mtimeMs)

  writeFiles(root, { 'native/addon.cpp': addon('wrong') })
  const failed = await setup('native')
  expect(failed.ok).toBe(false)
  expect(failed.stderr).toMatch(/wrong.* was not declared/)
  expect(failed.stderr).toMatch(/\[BUILD_FAILED\]\n$/)
  expect(nativeIsCurrent(root, builds.release)).toBe(false)

  writeFiles(root, { 'native/addon.cpp': addon('2') })
  expect((await setup('native')).ok).toBe(true)
  const second = await loaded()
  expect(second.answer).toBe(2)
  expect(second.buildId).not.toBe(first.buildId)
})

test('a clone that was moved is built in its new location', async () => {
  await takeBuilt()
  // The sources are unchanged, so the binary is current.
  expect(await setup('native')).toEqual({ ok: true, stdout: '', stderr: '' })
  writeFiles(root, { 'native/addon.cpp': addon('3') })
  expect((await setup('native')).ok).toBe(true)
  expect((await loaded()).answer).toBe(3)
})

test('the prebuilt binary is this build, and loads its libraries from its own folder', async () => {
  expect(built.stderr).toMatch(/native code .*\n.*prebuilt binary .*\n$/)
  await takeBuilt()
  expect(await setup('native', 'prebuild')).toEqual({ ok: true, stdout: '', stderr: '' })
  expect(readdirSync(path.join(root, 'prebuilds/linux-x64')).sort()).toEqual([
    ...libraries,
    ...['libvggnet_mpi_mpich.so', 'libvggnet_mpi_openmpi.so'],
    'manifest.json',
    'vggnet.glibc.node',
  ])
  for (const library of libraries) expect(existsSync(path.join(root, 'build/Release', library))).toBe(true)
  expect(existsSync(path.join(root, 'build/prebuildify'))).toBe(false)
  const stripped = statSync(path.join(root, 'prebuilds/linux-x64/vggnet.glibc.node'))
  expect(stripped.size).toBeLessThan(statSync(binary()).size)
  const { buildId } = await loaded()
  const installed = newFolder()
  cpSync(path.join(root, 'prebuilds'), path.join(installed, 'prebuilds'), { recursive: true })
  rmSync(root, { recursive: true })
  const program = `
    console.log(require('node-gyp-build')(${JSON.stringify(installed)}).buildId)
    console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8'))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program])
  expect(stdout.split('\n')[0]).toBe(buildId)
  for (const library of libraries) expect(stdout).toContain(`${installed}/prebuilds/linux-x64/${library}`)
})

test('the prebuilt binary is made again after a change; one with a name that the loader does not know is refused', async () => {
  await takeBuilt()
  const before = (await loaded()).buildId
  writeFiles(root, { 'native/addon.cpp': addon('2') })
  vi.stubEnv('PREBUILD_ARCH', 'arm64')
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  const renamed = await setup('prebuild')
  expect(renamed.ok).toBe(false)
  expect(renamed.stderr).toMatch(/did not make .*linux-x64\/vggnet\.glibc\.node.* \[BUILD_FAILED\]\n$/)
  vi.unstubAllEnvs()
  expect((await setup('prebuild')).stderr).toMatch(/^setup: prebuilt binary .* done in .*\n$/)
  expect((await loaded()).buildId).not.toBe(before)
  const program = `console.log(require('./prebuilds/linux-x64/vggnet.glibc.node').answer)`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { cwd: root })
  expect(stdout).toBe('2\n')
})

test('a warning fails the native build', async () => {
  writeFiles(root, { 'native/warning.cpp': 'static int never_called() { return 1; }\n' })
  const { ok, stderr } = await setup('native')
  expect(ok).toBe(false)
  expect(stderr).toMatch(/never_called.*-Werror=unused-function/)
})

test('simultaneous set-ups of a clone run one after the other', async () => {
  const both = await Promise.all([setup('native', 'library'), setup('native', 'library')])
  expect(both.map(({ ok }) => ok)).toEqual([true, true])
  const output = both.map(({ stderr }) => stderr).join('')
  expect(output.match(/native code/g)).toHaveLength(1)
  expect(output.match(/TypeScript/g)).toHaveLength(1)
})

test('the library is compiled after a change in lib/, and files of removed sources leave dist/', async () => {
  writeFiles(root, { 'lib/more.ts': 'export const more = 2\n', 'lib/cli/main.ts': '#!/usr/bin/env node\nexport {}\n' })
  expect((await setup('library')).ok).toBe(true)
  expect(existsSync(path.join(root, 'dist/more.js'))).toBe(true)
  expect(statSync(path.join(root, 'dist/cli/main.js')).mode & 0o111).toBe(0o111)
  expect(await setup('library')).toEqual({ ok: true, stdout: '', stderr: '' })
  rmSync(path.join(root, 'lib/more.ts'))
  expect((await setup('library')).stderr).toMatch(/^setup: TypeScript/)
  expect(existsSync(path.join(root, 'dist/more.js'))).toBe(false)
})

test('a type error fails the set-up with its location, and dist/ is unchanged', async () => {
  await setup('library')
  const before = readFileSync(path.join(root, 'dist/index.js'), 'utf8')
  writeFiles(root, { 'lib/index.ts': "export const answer: number = 'one'\n" })
  const { ok, stderr } = await setup('library')
  expect(ok).toBe(false)
  expect(stderr).toContain('lib/index.ts(1,14)')
  expect(readFileSync(path.join(root, 'dist/index.js'), 'utf8')).toBe(before)
  expect((await setup('library')).ok).toBe(false)
})

test('an unknown part is refused by name', async () => {
  const { ok, stderr } = await setup('nativ')
  expect(ok).toBe(false)
  expect(stderr).toMatch(/Expected packages, native, .* for setup but received 'nativ'/)
})
