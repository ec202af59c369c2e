// When a process is started to load an unknown binary, and when none is.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { packageVersion } from '../../lib/platform/package.js'
import { newFolder } from '../setup/folder.js'
import { binariesIn, installedCopy, linked, loadedIn, writeManifestIn } from './installed-copy.js'

/** An unknown binary, and an empty cache. */
function unknownBinary() {
  const binary = binariesIn(newFolder())
  const cache = path.join(newFolder(), 'cache')
  return { binary, cache, env: { VGGNET_BINARY: binary, VGGNET_CACHE: cache } }
}

test('an unknown binary is tried once in a separate process, and again only after a change', async () => {
  const { binary, cache, env } = unknownBinary()
  expect(await loadedIn({ env })).toMatchObject({ code: 0, outcome: 'works', children: 1 })
  expect(Object.keys(JSON.parse(readFileSync(path.join(cache, 'binaries.json'), 'utf8')).loaded)).toEqual([binary])
  expect(await loadedIn({ env })).toMatchObject({ outcome: 'works', children: 0 })
  utimesSync(binary, 1, 1)
  expect(await loadedIn({ env })).toMatchObject({ outcome: 'works', children: 1 })
  const library = path.join(path.dirname(binary), 'libgomp.so.1')
  utimesSync(library, 2, 2)
  expect(await loadedIn({ env })).toMatchObject({ outcome: 'works', children: 1 })
  expect(await loadedIn({ env })).toMatchObject({ outcome: 'works', children: 0 })
})

test("a package's own binary with the right content never needs a process", async () => {
  const { project, binaries } = installedCopy()
  await writeManifestIn(binaries, { version: packageVersion(), buildId: 'of no importance' })
  const cache = path.join(newFolder(), 'cache')
  const env = { VGGNET_CACHE: cache }
  expect(await loadedIn({ cwd: project, env })).toMatchObject({ outcome: 'works', children: 0 })
  expect(existsSync(path.join(cache, 'binaries.json'))).toBe(true)
  expect(await loadedIn({ cwd: project, env })).toMatchObject({ outcome: 'works', children: 0 })
})

test.each([
  ['a file', (cache: string) => writeFileSync(cache, '')],
  [
    'with a damaged record',
    (cache: string) => {
      mkdirSync(cache, { recursive: true })
      writeFileSync(path.join(cache, 'binaries.json'), '{"loaded": [1')
    },
  ],
])('a cache that is %s: it loads', async (_, make) => {
  const { binary } = unknownBinary()
  const cache = path.join(newFolder(), 'cache')
  make(cache)
  const env = { VGGNET_BINARY: binary, VGGNET_CACHE: cache }
  expect(await loadedIn({ env })).toMatchObject({ code: 0, stderr: '', outcome: 'works', children: 1 })
})

test('a user without a home folder: it loads', async () => {
  const { binary } = unknownBinary()
  const env = { VGGNET_BINARY: binary, VGGNET_CACHE: '', XDG_CACHE_HOME: '', HOME: '/nonexistent/home' }
  expect(await loadedIn({ env })).toMatchObject({ stderr: '', outcome: 'works', children: 1 })
})

test('four worker threads at once, the first ever', async () => {
  const { env } = unknownBinary()
  const program = `
    const { parentPort } = require('node:worker_threads')
    import('vggnet')
      .then(({ describe, layersOf }) => describe({ layers: layersOf({ variant: 'A', classes: 2 }), shape: [1, 3, 224, 224], device: 'cpu' }))
      .then(({ device }) => parentPort.postMessage(device), (error) => parentPort.postMessage(error.message))`
  const afterImport = `
    const { Worker } = await import('node:worker_threads')
    const { once } = await import('node:events')
    const workers = [1, 2, 3, 4].map(() => new Worker(${JSON.stringify(program)}, { eval: true, execArgv: [] }))
    const said = await Promise.all(workers.map((worker) => once(worker, 'message')))
    if (said.some(([device]) => device !== 'cpu')) throw new Error(String(said))`
  // the main thread loads it last, and knows it by then
  expect(await loadedIn({ env, afterImport })).toMatchObject({ code: 0, outcome: 'works', message: '', children: 0 })
})

test('in an application other than Node no process is started: it would start the application again', async () => {
  const { env } = unknownBinary()
  const application = path.join(newFolder(), 'application')
  linked(process.execPath, application)
  expect(await loadedIn({ env, node: [application] })).toMatchObject({ code: 0, outcome: 'works', children: 0 })
})

test('it loads even if no process may be started', async () => {
  const { env } = unknownBinary()
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission'
  const flags = [permission, '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons', '--no-warnings']
  expect(await loadedIn({ env, flags })).toMatchObject({ code: 0, outcome: 'works' })
})

test('VGGNET_PREBUILD, by which node-gyp-build would take any binary, is refused', async () => {
  const elsewhere = newFolder()
  binariesIn(path.join(elsewhere, 'prebuilds', 'linux-x64'), 'vggnet.glibc.node')
  const env = { VGGNET_PREBUILD: elsewhere, VGGNET_CACHE: newFolder() }
  const { outcome, message } = await loadedIn({ env })
  expect(outcome).toBe('NATIVE_LOAD_FAILED')
  expect(message).toContain(`- ${elsewhere}: VGGNET_PREBUILD is set, and vggnet loads only its own binary\n`)
  expect(message).toMatch(/^Cure: `unset VGGNET_PREBUILD`; VGGNET_BINARY=FILE names another binary of vggnet$/m)
})

test('NODE_OPTIONS, such as a preload, do not apply to the process that tries a binary', async () => {
  const { env } = unknownBinary()
  const preload = path.join(newFolder(), 'preload.cjs')
  writeFileSync(preload, "if (process.argv.length < 3 && process.execArgv.includes('-e')) process.exit(3)")
  const NODE_OPTIONS = `--require ${preload}`
  expect(await loadedIn({ env: { ...env, NODE_OPTIONS } })).toMatchObject({ code: 0, outcome: 'works', children: 1 })
})

test('under node --test', () => {
  const { env } = unknownBinary()
  const file = path.join(newFolder(), 'a.test.mjs')
  const text = `import test from 'node:test'; import { VGG } from ${JSON.stringify(path.resolve('dist/index.js'))}
    test('x', async () => (await VGG.create({ variant: 'A', classes: 2, imageSize: 32, width: 0.0625, headWidth: 4, device: 'cpu' })).dispose())`
  writeFileSync(file, text)
  const { NODE_OPTIONS: _, ...rest } = process.env
  const { status, stdout } = spawnSync(process.execPath, ['--test', file], {
    env: { ...rest, ...env },
    encoding: 'utf8',
  })
  expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringMatching(/pass 1$/m) })
})
