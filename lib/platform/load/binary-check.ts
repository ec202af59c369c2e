// Checks a binary before it is loaded into this process, because a damaged binary ends the process.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../error.js'
import { isObject } from '../../options.js'
import { packageVersion } from '../package.js'
import { cacheFolder, firstBytes } from '../wheels/cache.mjs'
import { cacheExposure, exposureOf } from '../wheels/private.mjs'
import { addonFiles, type FileFault, fileFault, type Manifest, manifestName, manifestOf } from './manifest.js'

/** The result of loading a binary in a separate process: its build, or why it does not load; empty if no process could start. */
interface TriedBinary {
  readonly buildId?: string
  readonly reason?: string
}

const program = `
const answer = (what) => process.stdout.write(JSON.stringify(what))
try {
  const { buildInfo } = require(process.argv[1])
  if (typeof buildInfo === 'function') answer({ buildId: buildInfo().buildId })
  else answer({ reason: 'it is not an addon of vggnet' })
} catch (error) {
  answer({ reason: String(error && error.message) })
}`

const timeoutMs = 60_000

/** Whether `execPath -e` runs a program. In Electron, or in an application in one file, it would start the application again. */
export function isPlainNode(): boolean {
  const { electron, bun, deno } = process.versions
  if (electron || bun || deno || process.getBuiltinModule?.('node:sea')?.isSea()) return false
  return /^node(js)?[\d.]*$/.test(path.basename(process.execPath))
}

/** The last line of a process's output. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? ''

/** Loads a binary in a separate process, which takes 0.1 s. */
function tryInProcess(binary: string): TriedBinary {
  if (!isPlainNode()) return {}
  // without the options of a debugger or a TypeScript loader
  const { NODE_OPTIONS: _, ...env } = process.env
  try {
    const { error, signal, status, stdout, stderr } = spawnSync(process.execPath, ['-e', program, binary], {
      env: { ...env, OMP_WAIT_POLICY: 'passive' },
      encoding: 'utf8',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (error && 'code' in error && error.code === 'ETIMEDOUT') {
      return { reason: 'a process that loaded it as a test did not end within a minute' }
    }
    if (error) return {}
    if (signal) return { reason: `a process that loaded it as a test was ended by ${signal}` }
    if (stdout === '') return { reason: `a process that loaded it ended with ${status}: ${lastLine(stderr)}` }
    return JSON.parse(stdout) as TriedBinary
  } catch {
    // this Node may not start processes (--permission)
    return {}
  }
}

const faultText = ({ name, text }: FileFault): string => `${name} ${text}`

function obstacleBeside(binary: string, manifest: Manifest): string {
  const folder = path.dirname(binary)
  const own = packageVersion()
  if (manifest.version !== own) return `belongs to vggnet ${manifest.version}, but the package is vggnet ${own}`
  const faults = addonFiles(manifest).flatMap((name) => fileFault(folder, name, manifest) ?? [])
  if (faults.length === 0) return ''
  const { buildId, reason = '' } = tryInProcess(binary)
  // the system may have the missing libraries
  const wrong = faults.filter(({ kind }) => kind !== 'missing')
  if (wrong.length === 0) return reason && [...faults.map(faultText), reason].join('; ')
  const other = buildId === undefined || buildId === manifest.buildId ? reason : `its build is ${buildId}`
  return [...wrong.map(faultText), `the package was made with build ${manifest.buildId}`, other]
    .filter(Boolean)
    .join('; ')
}

/**
 * Returns why a new binary must not be loaded into this process, or '' if it may be. The package's own binary must have the content
 * that the manifest states; any other binary must load in a separate process.
 */
export function obstacleTo(binary: string): string {
  let manifest: Manifest | undefined
  try {
    manifest = manifestOf(binary)
  } catch (error) {
    return `${manifestName} in its folder is damaged: ${messageOf(error)}`
  }
  return manifest === undefined ? (tryInProcess(binary).reason ?? '') : obstacleBeside(binary, manifest)
}

/** The record of binaries that have loaded before, in the per-user cache. Without a writable cache, every binary is new. */
const recordName = 'binaries.json'
/** Maximum number of binaries in the record; the oldest are dropped. */
const mostKept = 32
const longestRecord = 65_536

/** Returns a text that changes when the binary, a library in its folder or the manifest is rewritten. @throws if a file is missing */
export function fingerprintOf(binary: string): string {
  const folder = path.dirname(binary)
  const libraries = readdirSync(folder).filter((name) => /\.so(\.\d+)*$/.test(name) || name === manifestName)
  const names = [...new Set([path.basename(binary), ...libraries])].sort()
  const lines = names.map((name) => {
    const { size, mtimeMs, ctimeMs, ino } = statSync(path.join(folder, name))
    return `${name} ${size} ${mtimeMs} ${ctimeMs} ${ino}`
  })
  return [process.arch, ...lines].join('\n')
}

const recordFile = (env: NodeJS.ProcessEnv): string => path.join(cacheFolder(env), recordName)

/** The fingerprints by path, the newest last; empty if the record cannot be read, or if others than this user can write it. */
function kept(file: string): Record<string, string> {
  try {
    if (cacheExposure(path.dirname(file)) || exposureOf(file)) return {}
    const { loaded } = JSON.parse(firstBytes(file, longestRecord))
    return isObject(loaded) ? (loaded as Record<string, string>) : {}
  } catch {
    return {}
  }
}

/** Whether this binary has been loaded before, with this fingerprint. */
export function isKnown(binary: string, fingerprint: string): boolean {
  try {
    return kept(recordFile(process.env))[binary] === fingerprint
  } catch {
    // the user has no home folder
    return false
  }
}

/** Creates a folder and its parent. Not with { recursive: true }, which never ends under /proc. */
function makeFolder(folder: string): void {
  for (const name of [path.dirname(folder), folder]) if (!existsSync(name)) mkdirSync(name, { mode: 0o700 })
}

/**
 * Records that a binary loads. Ignores errors, and does nothing in a cache of others: without a record, the next process checks
 * the binary again.
 */
export function remember(binary: string, fingerprint: string): void {
  try {
    const file = recordFile(process.env)
    if (cacheExposure(path.dirname(file))) return
    const { [binary]: _, ...others } = kept(file)
    const loaded = Object.fromEntries([...Object.entries(others), [binary, fingerprint]].slice(-mostKept))
    makeFolder(path.dirname(file))
    const unfinished = `${file}.${process.pid}`
    try {
      writeFileSync(unfinished, JSON.stringify({ loaded }), { flag: 'wx', mode: 0o600 })
      renameSync(unfinished, file)
    } catch (error) {
      rmSync(unfinished, { force: true })
      throw error
    }
  } catch {}
}
