import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isHigher, manifestHolds, neededVersions, readManifest, sha256Of } from '../../scripts/setup/manifest.mjs'
import { buildIdOf, oneDnnFolder } from '../../scripts/setup/native.mjs'
import { root } from '../setup/command.js'
import { linksOf } from '../setup/document.js'
import { binary } from './binary.js'
import { type Packed, pack } from './packed.js'

const run = promisify(execFile)
const megabyte = 1e6
const cudaLibrary = 'libvggnet_cuda.so'
const ownLibraries = [
  ...['libdnnl.so.3', 'libgomp.so.1', 'libturbojpeg.so.0'],
  ...['libvggnet_mpi_mpich.so', 'libvggnet_mpi_openmpi.so'],
]
/** Red Hat Enterprise Linux 9; Ubuntu 22.04 and Debian 12 have later ones. */
const floor = { GLIBC: '2.34', GLIBCXX: '3.4.29', CXXABI: '1.3.13', GCC: '7.0.0' }

const described = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

let scratch: string
let packed: Packed
/** The unpacked package. */
let folder: string

beforeAll(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  packed = await pack(scratch)
  await run('tar', ['-xzf', packed.file, '-C', scratch])
  folder = path.join(scratch, 'package')
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const inPackage = (name: string) => path.join(folder, name)
const text = (name: string) => readFileSync(inPackage(name), 'utf8')
const binaries = () => inPackage('prebuilds/linux-x64')
const libraries = () => readdirSync(binaries()).filter((name) => name !== 'manifest.json')
const tracked = (...positions: string[]) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...positions], {
    cwd: root,
    encoding: 'utf8',
  })
    .trim()
    .split('\n')

// lib/a.ts is compiled into a.js and a.d.ts, lib/a.mjs into a.mjs and a.d.mts, each with its map.
const compiledFrom = (source: string) => {
  const [, stem, letter] = /^lib\/(.*)\.(m?)[jt]s$/.exec(source) ?? []
  return [`${letter}js`, `d.${letter}ts`].flatMap((suffix) => [`dist/${stem}.${suffix}`, `dist/${stem}.${suffix}.map`])
}

describe('the tarball', () => {
  test('contains exactly these files', () => {
    const sources = tracked('lib')
    const carried = packed.files.some((file) => file.path.endsWith(cudaLibrary)) ? [cudaLibrary] : []
    const natives = [...ownLibraries, ...carried, 'manifest.json', 'vggnet.glibc.node']
    const expected = [
      ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'THIRD-PARTY.md', 'package.json'],
      ...tracked('licenses', 'native', 'docs/*.md', 'docs/*.png', 'docs/*.svg', 'examples'),
      ...sources,
      ...sources.flatMap(compiledFrom),
      ...natives.map((name) => `prebuilds/linux-x64/${name}`),
    ]
    expect(packed.files.map((file) => file.path).sort()).toEqual(expected.sort())
  })

  test('has documents whose links lead to files in it', () => {
    const names = packed.files.map((file) => file.path)
    const documents = names.filter((name) => name.endsWith('.md') && !name.startsWith('licenses/'))
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/training.md', 'docs/api/README.md']))
    const lost = documents.flatMap((document) =>
      linksOf(text(document))
        .map((link) => link.replace(/#.*/, ''))
        .map((link) => (link === '' ? document : path.posix.join(path.posix.dirname(document), link)))
        .filter((target) => !names.some((name) => name === target || name.startsWith(`${target}/`)))
        .map((target) => `${document} links to ${target}`),
    )
    expect(lost).toEqual([])
  })

  test('has no script that an installation would run or warn of', () => {
    const { scripts } = JSON.parse(text('package.json'))
    const run = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
    expect(Object.keys(scripts).filter((name) => run.includes(name))).toEqual([])
    expect(readdirSync(folder)).not.toContain('binding.gyp')
  })

  test('takes less than 15 MB without the CUDA library', () => {
    const cuda = libraries().includes(cudaLibrary)
      ? gzipSync(readFileSync(path.join(binaries(), cudaLibrary))).length
      : 0
    expect((packed.size - cuda) / megabyte).toBeLessThan(15)
    expect((packed.size - cuda) / megabyte).toBeGreaterThan(10)
  })

  test('has the same bytes when it is packed again', async () => {
    const other = path.join(scratch, 'again')
    mkdirSync(other)
    expect(sha256Of((await pack(other)).file)).toBe(sha256Of(packed.file))
  })

  test('contains no path of the machine that packed it', () => {
    const names = packed.files.map((file) => file.path).filter((name) => !name.startsWith('prebuilds/'))
    const positions = [root.replace(/\/$/, ''), tmpdir(), `${homedir()}/`]
    // every machine has /tmp: examples may name it
    const own = positions.filter((position) => position !== '/tmp')
    expect(names.filter((name) => own.some((position) => text(name).includes(position)))).toEqual([])
  })

  test('has an executable program, and a changelog of its version', () => {
    const [program] = Object.values(described.bin) as string[]
    expect((packed.files.find((file) => file.path === program)?.mode ?? 0) & 0o111).toBe(0o111)
    const changelog = text('CHANGELOG.md')
    expect(changelog).toMatch(/^## \[Unreleased\]$/m)
    expect(/^## \[(\d[^\]]*)\]/m.exec(changelog)?.[1]).toBe(described.version)
  })

  test('is well-formed to publint, and its types resolve in every mode', async () => {
    const lint = path.join(root, 'node_modules/publint/src/cli.js')
    expect((await run(process.execPath, [lint, 'run', packed.file, '--strict'])).stdout).toMatch(/All good!/)
    const types = path.join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    // ES modules only: `require` of them is Node's business
    const words = ['--format', 'json', '--ignore-rules', 'cjs-resolves-to-esm', '--', packed.file]
    const { stdout } = await run(process.execPath, [types, ...words], { maxBuffer: 1 << 26 })
    const { analysis, problems } = JSON.parse(stdout)
    expect(Object.keys(analysis.entrypoints)).toContain('.')
    expect(Object.keys(problems ?? {}).filter((rule) => rule !== 'CJSResolvesToESM')).toEqual([])
  })
})

describe('the binaries', () => {
  test('are those of the manifest, of this source', () => {
    expect(manifestHolds(binaries())).toBe(true)
    const manifest = readManifest(binaries())
    expect(manifest).toMatchObject({ version: described.version, buildId: buildIdOf(root) })
    expect(Object.keys(manifest.files)).toEqual(libraries())
  })

  test('need no newer versions than those of Red Hat Enterprise Linux 9', async () => {
    for (const name of libraries()) {
      const needs = await neededVersions([path.join(binaries(), name)])
      expect(Object.keys(needs)).toContain('GLIBC')
      for (const [family, version] of Object.entries(needs)) {
        const most = floor[family as keyof typeof floor]
        expect(isHigher(version, most), `${name} needs ${family}_${version}, above ${most}`).toBe(false)
      }
    }
  })

  test('need only each other and libraries of every Linux, search their own folder, and have no executable stack', () => {
    const everywhere = ['c.so.6', 'm.so.6', 'dl.so.2', 'pthread.so.0', 'gcc_s.so.1', 'stdc++.so.6']
    const known = ['ld-linux-x86-64.so.2', ...everywhere.map((name) => `lib${name}`)]
    for (const name of libraries()) {
      const { needed, runPaths, executableStack } = binary(path.join(binaries(), name))
      const own = name === cudaLibrary ? ['libcudnn.so.9', 'libcublasLt.so.13'] : ownLibraries
      const strange = needed.filter((library) => ![...own, ...known].includes(library))
      expect(strange, name).toEqual([])
      expect(['$ORIGIN', undefined], name).toContain(runPaths[0])
      expect(runPaths.length, name).toBeLessThan(2)
      expect(executableStack, name).toBe(false)
    }
    expect(binary(path.join(binaries(), 'vggnet.glibc.node')).runPaths).toEqual(['$ORIGIN'])
  })

  // oneDNN, libgomp and libjpeg-turbo come built.
  test('of our own are hardened, and all have read-only relocations', () => {
    for (const name of libraries()) {
      const { hardening } = binary(path.join(binaries(), name))
      expect(hardening.readOnlyRelocations, name).toBe(true)
      if (ownLibraries.includes(name)) continue
      const all = { bindNow: true, readOnlyRelocations: true, stackProtector: true }
      expect(hardening, name).toEqual(all)
    }
  })

  test('are stripped, and contain no path of the build', () => {
    for (const name of libraries()) {
      const file = path.join(binaries(), name)
      const { sections, sourcePaths } = binary(file)
      expect(
        sections.filter((section) => /^\.(symtab|strtab|debug.*)$/.test(section)),
        name,
      ).toEqual([])
      // oneDNN and libgomp come built: their paths are those of their makers
      if (!['libdnnl.so.3', 'libgomp.so.1'].includes(name)) expect(sourcePaths, name).toEqual([])
      const bytes = readFileSync(file)
      for (const position of [root, `${homedir()}/`])
        expect(bytes.includes(position), `${position} in ${name}`).toBe(false)
    }
  })
})

describe('the notices', () => {
  test('have an entry for every library, and all texts that they name', () => {
    const notices = text('THIRD-PARTY.md')
    for (const name of libraries()) expect(notices, name).toMatch(new RegExp(`^\\| .*\`${name}\`.* \\|$`, 'm'))
    const named = [...notices.matchAll(/`licenses\/([\w.-]+)`/g)].map(([, name]) => name)
    expect([...new Set(named)].sort()).toEqual(readdirSync(inPackage('licenses')).sort())
  })

  test('are of the versions that are used', async () => {
    const notices = text('THIRD-PARTY.md')
    const { devDependencies } = described
    expect(notices).toContain(`node-addon-api ${devDependencies['node-addon-api']}`)
    expect(notices).toContain(`\`@julusian/jpeg-turbo\` ${devDependencies['@julusian/jpeg-turbo']}`)
    const cmake = readFileSync(path.join(root, 'CMakeLists.txt'), 'utf8')
    expect(notices).toContain(`oneDNN ${/VGGNET_ONEDNN_VERSION ([\d.]+)/.exec(cmake)?.[1]}`)
    expect(notices).toContain(`libjpeg-turbo ${/VGGNET_LIBJPEG_TURBO_VERSION ([\d.]+)/.exec(cmake)?.[1]}`)
    const modules = path.join(root, 'node_modules')
    const texts = {
      'node-addon-api-LICENSE': path.join(modules, 'node-addon-api/LICENSE.md'),
      'node-api-headers-LICENSE': path.join(modules, 'node-api-headers/LICENSE'),
      'oneDNN-LICENSE': path.join(await oneDnnFolder(), 'share/doc/onednn/LICENSE'),
      'oneDNN-THIRD-PARTY-PROGRAMS': path.join(await oneDnnFolder(), 'share/doc/onednn/THIRD-PARTY-PROGRAMS'),
    }
    for (const [name, source] of Object.entries(texts)) {
      expect(text(`licenses/${name}`), name).toBe(readFileSync(source, 'utf8'))
    }
  })
})
