// Errors of a package that does not load, imported by name in a separate process.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageVersion } from '../../lib/platform/package.js'
import { newFolder } from '../setup/folder.js'
import { askFor, replaceText, truncate } from './changed-binary.js'
import { binariesIn, installedCopy, type Loaded, loadedIn, writeManifestIn } from './installed-copy.js'
import { withoutSystemLibrary } from './system-library.js'

const { buildId } = JSON.parse(
  spawnSync(process.execPath, [
    '-p',
    'JSON.stringify(require(process.cwd() + "/build/Release/vggnet.node").buildInfo())',
  ]).stdout.toString(),
)
const build = { version: packageVersion(), buildId }
/** An empty cache, in which every binary is unknown. */
const freshCache = (): NodeJS.ProcessEnv => ({ VGGNET_CACHE: path.join(newFolder(), 'cache') })
const found = /^Found: linux x64, glibc 2\.\d+, Node \d+\.\d+\.\d+ \(Node-API \d+\)$/m
const reinstallCure = ({ root }: { root: string }): string =>
  `Cure: \`rm -rf ${root} && npm install\` reinstalls the package (npm install alone does not replace it)`

/** Expects a living process, and an error with all its parts. */
function expectFailure(loaded: Loaded, { reason, required, cure }: Record<'reason' | 'required' | 'cure', string>) {
  const { code, outcome, message } = loaded
  expect({ code, outcome }, message).toEqual({ code: 0, outcome: 'NATIVE_LOAD_FAILED' })
  expect(message).toContain(`Could not load the native binary of vggnet ${packageVersion()}.\nTried:\n- `)
  expect(message).toMatch(found)
  expect(message).toContain(reason)
  expect(message).toContain(`Required: linux x64, ${required}`)
  expect(message).toContain(cure)
}

describe('an unsupported system', () => {
  const overridden = (what: string, value: string) =>
    `Object.defineProperty(process, '${what}', { value: '${value}' });`
  const withReport = (header: object) =>
    `process.report.getReport = () => (${JSON.stringify({ header })}); process.env.VGGNET_CACHE = '/nowhere'`

  test.each([
    [
      'macOS',
      overridden('platform', 'darwin') + overridden('arch', 'arm64'),
      /Found: darwin arm64, Node/,
      /docker run/,
    ],
    ['ARM', overridden('arch', 'arm64'), /Found: linux arm64, glibc 2\.\d+, Node/, /docker run/],
    [
      'musl',
      withReport({}),
      /Found: linux x64, no glibc \(musl\), Node/,
      /node:22-bookworm-slim instead of node:22-alpine/,
    ],
    [
      'an old glibc',
      withReport({ glibcVersionRuntime: '2.31' }),
      /Found: linux x64, glibc 2\.31, Node/,
      /Ubuntu 22\.04, Debian 12/,
    ],
  ])('%s', async (_, afterImport, here, cure) => {
    const { code, outcome, message } = await loadedIn({ afterImport })
    expect({ code, outcome }, message).toEqual({ code: 0, outcome: 'UNSUPPORTED_PLATFORM' })
    expect(message).toMatch(/^vggnet does not run on this system\.\n/)
    expect(message).toMatch(here)
    expect(message).toMatch(/^Required: linux x64, glibc 2\.34 or later, Node 20\.17 or later \(Node-API 8\)$/m)
    expect(message).toMatch(/^Cure: /m)
    expect(message).toMatch(cure)
  })

  // VGGNET_OLD_GLIBC: a folder with ld-linux-x86-64.so.2 and the libraries of such a system, libstdc++ too
  test('really an old glibc', async (context) => {
    const { VGGNET_OLD_GLIBC: folder } = process.env
    if (!folder) return context.skip('VGGNET_OLD_GLIBC names no folder with an older glibc')
    const node = [path.join(folder, 'ld-linux-x86-64.so.2'), '--library-path', folder, process.execPath]
    const { outcome, message } = await loadedIn({ node, env: freshCache() })
    expect(outcome, message).toBe('UNSUPPORTED_PLATFORM')
    expect(message).toMatch(/^Found: linux x64, glibc 2\.[12]?\d|2\.3[0-3], /m)
  })
})

test('a binary that asks for a newer glibc', async () => {
  const binary = binariesIn(newFolder())
  askFor(binary, 'GLIBC_2.34', 'GLIBC_2.99')
  expectFailure(await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } }), {
    reason: `- ${binary}: /lib/x86_64-linux-gnu/libc.so.6: version \`GLIBC_2.99' not found (required by ${binary})`,
    required: 'glibc 2.99 or later',
    cure: 'Cure: a system with glibc 2.99 or later',
  })
})

test('a binary that asks for a newer libstdc++', async () => {
  const binary = binariesIn(newFolder())
  askFor(binary, 'GLIBCXX_3.4.29', 'GLIBCXX_3.4.99')
  expectFailure(await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } }), {
    reason: "version `GLIBCXX_3.4.99' not found",
    required: 'glibc 2.34 or later, libstdc++ with GLIBCXX_3.4.99, Node',
    cure: 'Cure: a newer libstdc++',
  })
})

describe('a binary that is not there', () => {
  test('of the package', async () => {
    const copy = installedCopy()
    rmSync(path.join(copy.binaries, 'vggnet.glibc.node'))
    const loaded = await loadedIn({ cwd: copy.project, env: freshCache() })
    expectFailure(loaded, {
      reason: `- ${copy.root}/build/Release: there is no such folder\n- ${copy.binaries}: there is no binary in it\n`,
      required: 'glibc 2.34 or later',
      cure: reinstallCure(copy),
    })
    rmSync(copy.binaries, { recursive: true })
    const { message } = await loadedIn({ cwd: copy.project, env: freshCache() })
    expect(message).toContain(`- ${copy.binaries}: there is no such folder\n`)
    expect(message).toContain('Cure: the package was packed without its scripts (--ignore-scripts): `npm pack` in')
  })

  test.each([
    ['/nowhere/vggnet.node', 'there is no such file'],
    [process.cwd(), 'there is no such file'],
    [path.resolve('package.json'), 'it does not end in .node'],
  ])('VGGNET_BINARY=%s', async (binary, reason) => {
    const cure = 'Cure: unset VGGNET_BINARY, or set it to an intact vggnet.node that was built for this machine'
    const loaded = await loadedIn({ env: { VGGNET_BINARY: binary } })
    expectFailure(loaded, { reason: `- ${binary} (VGGNET_BINARY): ${reason}`, required: 'glibc 2.34 or later', cure })
  })
})

describe('a damaged binary without a manifest ends a separate process, not this one', () => {
  const cure = 'Cure: unset VGGNET_BINARY, or set it to an intact vggnet.node'
  const whole = (binary: string): number => readFileSync(binary).length

  test.each([0, 63, 64, 4096, 0.5, 0.7])('truncated to %s', async (length) => {
    const binary = binariesIn(newFolder())
    truncate(binary, length)
    expect(whole(binary)).toBeLessThan(whole(path.resolve('build/Release/vggnet.node')))
    const loaded = await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } })
    expectFailure(loaded, {
      reason: `- ${binary}: `,
      required: 'glibc 2.34 or later, an intact binary of this build',
      cure,
    })
    expect(loaded.message).toMatch(/file too short|cannot read file data|was ended by SIG(BUS|SEGV)|ELF/)
  })

  test('garbage', async () => {
    const binary = path.join(newFolder(), 'vggnet.node')
    writeFileSync(binary, Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) % 251)))
    const loaded = await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } })
    expectFailure(loaded, { reason: 'invalid ELF header', required: 'glibc 2.34 or later, an intact binary', cure })
  })

  test('an addon of something else', async () => {
    const binary = path.join(newFolder(), 'other.node')
    copyFileSync(
      path.resolve('node_modules/@julusian/jpeg-turbo/prebuilds/jpeg-turbo-linux-x64/node-napi-v7.node'),
      binary,
    )
    copyFileSync(path.resolve('build/Release/libturbojpeg.so.0'), path.join(path.dirname(binary), 'libturbojpeg.so.0'))
    const loaded = await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } })
    expectFailure(loaded, { reason: 'it is not an addon of vggnet', required: 'glibc 2.34 or later', cure })
  })

  test.each([
    ['libdnnl.so.3', 0.5],
    ['libdnnl.so.3', 100],
    ['libgomp.so.1', 0.5],
    ['libturbojpeg.so.0', 0.5],
  ])('%s beside it truncated to %s', async (name, length) => {
    const binary = binariesIn(newFolder())
    const library = path.join(path.dirname(binary), name)
    const content = readFileSync(library)
    rmSync(library)
    writeFileSync(library, content)
    truncate(library, length)
    const loaded = await loadedIn({ env: { VGGNET_BINARY: binary, ...freshCache() } })
    expectFailure(loaded, {
      reason: `- ${binary}: `,
      required: 'glibc 2.34 or later, an intact binary of this build',
      cure,
    })
  })
})

describe("a package's own binary that differs from the manifest", () => {
  const addon = 'vggnet.glibc.node'

  test('of another build', async () => {
    const copy = installedCopy()
    await writeManifestIn(copy.binaries, build)
    const file = path.join(copy.binaries, addon)
    replaceText(file, buildId, 'fedcba9876543210')
    const loaded = await loadedIn({ cwd: copy.project, env: freshCache() })
    expectFailure(loaded, {
      reason: `the package was made with build ${buildId}; its build is fedcba9876543210\n`,
      required: 'glibc 2.34 or later, an intact binary of this build',
      cure: reinstallCure(copy),
    })
    expect(loaded.message).toMatch(
      /vggnet\.glibc\.node differs from the file that was packed \(sha256 [0-9a-f]{16}, not [0-9a-f]{16}\)/,
    )
  })

  test('of another version', async () => {
    const copy = installedCopy()
    await writeManifestIn(copy.binaries, { ...build, version: '9.9.9' })
    expectFailure(await loadedIn({ cwd: copy.project, env: freshCache() }), {
      reason: `${addon}: belongs to vggnet 9.9.9, but the package is vggnet ${packageVersion()}\n`,
      required: 'glibc 2.34 or later',
      cure: reinstallCure(copy),
    })
  })

  test.each([addon, 'libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0'])('%s truncated', async (name) => {
    const copy = installedCopy()
    await writeManifestIn(copy.binaries, build)
    const file = path.join(copy.binaries, name)
    const content = readFileSync(file)
    rmSync(file)
    writeFileSync(file, content)
    truncateSync(file, content.length - 5000)
    expectFailure(await loadedIn({ cwd: copy.project, env: freshCache() }), {
      reason: `${name} has ${content.length - 5000} bytes instead of ${content.length}; the package was made with build`,
      required: 'glibc 2.34 or later, an intact binary of this build',
      cure: reinstallCure(copy),
    })
  })

  test('with a damaged manifest', async () => {
    const copy = installedCopy()
    writeFileSync(path.join(copy.binaries, 'manifest.json'), '{"format": 1, "vers')
    expectFailure(await loadedIn({ cwd: copy.project, env: freshCache() }), {
      reason: 'manifest.json in its folder is damaged: ',
      required: 'glibc 2.34 or later, an intact binary',
      cure: reinstallCure(copy),
    })
  })
})

describe('a library that is missing', () => {
  test.for(['libdnnl.so.3', 'libturbojpeg.so.0', 'libgomp.so.1'])('%s', async (name, context) => {
    const copy = installedCopy()
    await writeManifestIn(copy.binaries, build)
    rmSync(path.join(copy.binaries, name))
    const node = withoutSystemLibrary(name)
    if (node === undefined) return context.skip(`the system's ${name} cannot be hidden without the right to mount`)
    const loaded = await loadedIn({ cwd: copy.project, env: freshCache(), node })
    expectFailure(loaded, {
      reason: `${name} is missing from ${copy.binaries}; ${name}: cannot open shared object file`,
      required: `glibc 2.34 or later, ${name}, Node`,
      cure: `Cure: ${name} must be in the folder of the binary: \`rm -rf ${copy.root} && npm install\``,
    })
    expect(loaded.message.includes('sudo apt-get install libgomp1')).toBe(name === 'libgomp.so.1')
  })

  test('libgomp.so.1: that of the system is used', async (context) => {
    const has = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? ''
    if (!/libgomp\.so\.1 .*x86-64/.test(has)) return context.skip('this system has no libgomp.so.1')
    const copy = installedCopy()
    await writeManifestIn(copy.binaries, build)
    rmSync(path.join(copy.binaries, 'libgomp.so.1'))
    expect(await loadedIn({ cwd: copy.project, env: freshCache() })).toMatchObject({ outcome: 'works', children: 1 })
  })
})

test('code that a bundler moved throws an error with the fix', async () => {
  const folder = newFolder()
  mkdirSync(path.join(folder, 'bundle', 'platform'), { recursive: true })
  for (const name of ['platform/package.js', 'error.js', 'table.js'])
    copyFileSync(path.resolve('dist', name), path.join(folder, 'bundle', name))
  writeFileSync(path.join(folder, 'package.json'), '{"name": "app", "type": "module"}')
  const words = ['--input-type=module', '-e', "(await import('./bundle/platform/package.js')).packageRoot()"]
  const { stderr } = spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' })
  expect(stderr).toMatch(/Found no package\.json of vggnet above .*bundle\/platform\/package\.js: a bundler/)
  expect(stderr).toContain('Cure: exclude vggnet from the bundle (external: vggnet)')
})

test('a truncated CUDA library of the package is not opened, and the CPU works', async () => {
  const copy = installedCopy()
  await writeManifestIn(copy.binaries, build)
  const manifest = path.join(copy.binaries, 'manifest.json')
  const { files, ...rest } = JSON.parse(readFileSync(manifest, 'utf8'))
  const library = { 'libvggnet_cuda.so': { bytes: 5000, sha256: '0' } }
  writeFileSync(manifest, JSON.stringify({ ...rest, files: { ...files, ...library } }))
  writeFileSync(path.join(copy.binaries, 'libvggnet_cuda.so'), '\u007fELF')
  const afterImport = `
    const layers = [{ kind: 'input', channels: 1, mean: [0], scale: [1] }, { kind: 'convolution', name: 'c', outputs: 1, kernel: 1 }]
    const { describe } = await import('vggnet')
    try {
      describe({ layers, shape: [1, 1, 2, 2], device: 'cuda' })
    } catch (error) {
      console.error(error.cause.message)
    }`
  const { outcome, stderr } = await loadedIn({ cwd: copy.project, env: freshCache(), afterImport })
  expect({ outcome, stderr }).toEqual({
    outcome: 'works',
    stderr: `device 'cuda' is not available: ${copy.binaries}/libvggnet_cuda.so is damaged, it has 4 bytes instead of 5000: reinstall the package\n`,
  })
})
