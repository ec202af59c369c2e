// Binaries that have been seen to load: what is known need not be tried before.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isObject } from '../../options.js'
import { cacheFolder, firstBytes } from '../cache-folder.js'
import { manifestName } from './manifest.js'

/** In the per-user cache; where none can be written, every binary is new each time. */
const recordName = 'binaries.json'
/** Of the record; the oldest are forgotten. */
const mostKept = 32
const longestRecord = 65_536

/** Changes whenever the binary, a library beside it or the manifest is written anew. @throws where there is no such file */
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

/** With the folder above; not { recursive: true }, which goes on for ever under /proc. */
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
