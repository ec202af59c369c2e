// Whether a binary may be loaded into this process: a damaged one would end the process.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../error.js'
import { isObject } from '../../options.js'
import { packageVersion } from '../package.js'
import { cacheFolder, firstBytes } from '../wheels/cache.mjs'
import { addonFiles, type FileFault, fileFault, type Manifest, manifestName, manifestOf } from './manifest.js'

/** What came of it: the binary's build; why it does not load; or nothing, where no process could be started. */
export interface TriedBinary {
  readonly buildId?: string
  readonly reason?: string
}

const program = `
const answer = (what) => process.stdout.write(JSON.stringify(what))
try {
  const { buildInfo } = require(process.argv[1])
  if (typeof buildInfo === 'function') answer({ buildId: buildInfo().buildId })
  else answer({ reason: 'it is no addon of vggnet' })
} catch (error) {
  answer({ reason: String(error && error.message) })
}`

const patience = 60_000

/** Whether `execPath -e` runs a program. In Electron, or an application in one file, it would start the application again. */
export function isPlainNode(): boolean {
  const { electron, bun, deno } = process.versions
  if (electron || bun || deno || process.getBuiltinModule?.('node:sea')?.isSea()) return false
  return /^node(js)?[\d.]*$/.test(path.basename(process.execPath))
}

/** The last line of a process's output. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? ''

/** Loads a binary in a process of its own, which takes a tenth of a second. */
export function triedApart(binary: string): TriedBinary {
  if (!isPlainNode()) return {}
  // what a debugger or a loader of TypeScript would add has no position there
  const { NODE_OPTIONS: _, ...env } = process.env
  try {
    const { error, signal, status, stdout, stderr } = spawnSync(process.execPath, ['-e', program, binary], {
      env: { ...env, OMP_WAIT_POLICY: 'passive' },
      encoding: 'utf8',
      timeout: patience,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (error && 'code' in error && error.code === 'ETIMEDOUT') {
      return { reason: 'a process that loaded it as a test did not end in a minute' }
    }
    if (error) return {}
    if (signal) return { reason: `a process that loaded it as a test was ended by ${signal}` }
    if (stdout === '') return { reason: `a process that loaded it ended with ${status}: ${lastLine(stderr)}` }
    return JSON.parse(stdout) as TriedBinary
  } catch {
    // a Node that may start no processes (--permission)
    return {}
  }
}

const faultText = ({ name, text }: FileFault): string => `${name} ${text}`

function obstacleBeside(binary: string, manifest: Manifest): string {
  const folder = path.dirname(binary)
  const own = packageVersion()
  if (manifest.version !== own) return `is of vggnet ${manifest.version}, and the package of vggnet ${own}`
  const faults = addonFiles(manifest).flatMap((name) => fileFault(folder, name, manifest) ?? [])
  if (faults.length === 0) return ''
  const { buildId, reason = '' } = triedApart(binary)
  // the system may have what is missing
  const wrong = faults.filter(({ kind }) => kind !== 'missing')
  if (wrong.length === 0) return reason && [...faults.map(faultText), reason].join('; ')
  const other = buildId === undefined || buildId === manifest.buildId ? reason : `it is of build ${buildId}`
  return [...wrong.map(faultText), `the package was made with build ${manifest.buildId}`, other]
    .filter(Boolean)
    .join('; ')
}

/**
 * Why a binary that has not been seen to load must not be loaded into this process, in words; empty where it may be: a
 * package's own with the right content, and another that loads in a process of its own.
 */
export function obstacleTo(binary: string): string {
  let manifest: Manifest | undefined
  try {
    manifest = manifestOf(binary)
  } catch (error) {
    return `${manifestName} beside it is damaged: ${messageOf(error)}`
  }
  return manifest === undefined ? (triedApart(binary).reason ?? '') : obstacleBeside(binary, manifest)
}

/** In the per-user cache; where none can be written, every binary is new each time. */
const recordName = 'binaries.json'
/** Of the record; the oldest are forgotten. */
const mostKept = 32
const longestRecord = 65_536

/** Changes whenever the binary, a library beside it or the manifest is written again. @throws where there is no such file */
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

/** Path to fingerprint, the newest last; nothing where the record cannot be read. */
function kept(file: string): Record<string, string> {
  try {
    const { loaded } = JSON.parse(firstBytes(file, longestRecord))
    return isObject(loaded) ? (loaded as Record<string, string>) : {}
  } catch {
    return {}
  }
}

/** Whether this binary, as it is now, has been loaded before. */
export function isKnown(binary: string, fingerprint: string): boolean {
  try {
    return kept(recordFile(process.env))[binary] === fingerprint
  } catch {
    // the user has no folder of his own
    return false
  }
}

/** With the folder above; not { recursive: true }, which does not end under /proc. */
function makeFolder(folder: string): void {
  for (const one of [path.dirname(folder), folder]) if (!existsSync(one)) mkdirSync(one)
}

/** Keeps in mind that a binary loads; says nothing where that cannot be kept. */
export function remember(binary: string, fingerprint: string): void {
  try {
    const file = recordFile(process.env)
    const { [binary]: _, ...others } = kept(file)
    const loaded = Object.fromEntries([...Object.entries(others), [binary, fingerprint]].slice(-mostKept))
    makeFolder(path.dirname(file))
    const unfinished = `${file}.${process.pid}`
    try {
      writeFileSync(unfinished, JSON.stringify({ loaded }), { flag: 'wx' })
      renameSync(unfinished, file)
    } catch (error) {
      rmSync(unfinished, { force: true })
      throw error
    }
  } catch {
    // a cache that cannot be written costs the next process the same look
  }
}
