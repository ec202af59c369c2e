// The package as npm would have installed it, of this checkout's own files, and programs that import it by its name.
import { spawn } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import { writeManifest } from '../../scripts/setup/manifest.mjs'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

const built = path.join(root, 'build', 'Release')

/** A second name for a file's content, or a copy where the two lie on different disks. */
export function linked(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}

let copied: string | undefined
afterAll(() => {
  if (copied !== undefined) rmSync(copied, { recursive: true, force: true })
})

/**
 * This process's own copies of the libraries beside the addon, to be linked: a link to those of the build would change the
 * build's times, which are part of its stamp, and those of tests that run at the same time.
 */
function ownLibraries(): string {
  if (copied !== undefined) return copied
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  for (const name of readdirSync(built).filter((file) => /^lib(dnnl|gomp|turbojpeg)\.so\.\d$/.test(file)))
    copyFileSync(path.join(built, name), path.join(folder, name))
  copied = folder
  return folder
}

/** The addon and the libraries beside it, in a folder of their own; the name of the addon is free. */
export function binariesIn(folder: string, addon = 'vggnet.node'): string {
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(ownLibraries())) linked(path.join(ownLibraries(), name), path.join(folder, name))
  const binary = path.join(folder, addon)
  copyFileSync(path.join(built, 'vggnet.node'), binary)
  return binary
}

export interface InstalledCopy {
  /** Where the program lies that has installed the package. */
  readonly project: string
  readonly root: string
  /** Where its prebuilt binaries lie. */
  readonly binaries: string
}

/** node_modules/vggnet with the compiled code and, as prebuilt binary, the release build; without a manifest. */
export function installedCopy(): InstalledCopy {
  const project = newFolder()
  const modules = path.join(project, 'node_modules')
  const own = path.join(modules, 'vggnet')
  mkdirSync(own, { recursive: true })
  cpSync(path.join(root, 'dist'), path.join(own, 'dist'), { recursive: true })
  copyFileSync(path.join(root, 'package.json'), path.join(own, 'package.json'))
  for (const name of readdirSync(path.join(root, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name))
  const binaries = path.join(own, 'prebuilds', 'linux-x64')
  binariesIn(binaries, 'vggnet.glibc.node')
  return { project, root: own, binaries }
}

let pristine: string | undefined

/** The manifest of the binaries as the build made them; their hashes are taken once. */
export async function writeManifestIn(folder: string, build: { version: string; buildId: string }): Promise<void> {
  const file = path.join(folder, 'manifest.json')
  if (pristine === undefined) await writeManifest(folder, { ...build, compiler: 'g++' })
  pristine ??= readFileSync(file, 'utf8')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(pristine), ...build }))
}

export interface Loaded {
  /** Undefined where a signal ended the process. */
  readonly code: number | undefined
  readonly stderr: string
  /** The error's code, or 'works'. */
  readonly outcome: string
  readonly message: string
  /** Processes that were started in order to load. */
  readonly children: number
}

// Counts processes, then creates the smallest of networks by the public import.
const program = (afterImport: string): string => `
import childProcess from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
const { spawnSync } = childProcess
let children = 0
childProcess.spawnSync = (...words) => {
  children += 1
  return spawnSync(...words)
}
syncBuiltinESMExports()
const answer = (outcome, message = '') => console.log(JSON.stringify({ outcome, message, children }))
try {
  const { VGG } = await import('vggnet')
  ${afterImport}
  const options = { variant: 'A', classes: 2, imageSize: 32, width: 0.0625, headWidth: 4, device: 'cpu' }
  const net = await VGG.create(options)
  net.dispose()
  answer('works')
} catch (error) {
  answer(error.code ?? error.name, error.message)
}`

export interface Fingerprint {
  /** The folder of the program; default: this checkout. */
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Of Node. */
  readonly flags?: readonly string[]
  /** Run after the import, before anything is done. */
  readonly afterImport?: string
  /** The program of Node, and what comes before its flags. */
  readonly node?: readonly string[]
}

/** What comes of importing the package in a process of its own and creating a network. */
export function loadedIn({
  cwd = root,
  env = {},
  flags = [],
  afterImport = '',
  node,
}: Fingerprint = {}): Promise<Loaded> {
  const [command = process.execPath, ...first] = node ?? []
  const words = [...first, ...flags, '--input-type=module', '--eval', program(afterImport)]
  const { NODE_OPTIONS: _, VGGNET_BINARY: __, ...rest } = process.env
  const child = spawn(command, words, { cwd, env: { ...rest, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      const said = stdout === '' ? { outcome: 'silent', message: stderr, children: 0 } : JSON.parse(stdout)
      resolve({ code: code ?? undefined, stderr, ...said })
    })
  })
}
