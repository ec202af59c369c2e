import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { writeProblem } from './problem.mjs'

/**
 * Returns the cache folder, which all clones and installations of a user share.
 * @param {Readonly<Record<string, string | undefined>>} [env]
 */
export function cacheFolder(env = process.env) {
  if (env.VGGNET_CACHE) return path.resolve(env.VGGNET_CACHE)
  const { XDG_CACHE_HOME: base } = env
  // XDG specification: a relative path must be ignored.
  return path.join(base && path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'vggnet')
}

/**
 * Returns the folder of a pin's content in the cache. A changed pin has another folder.
 * @param {string} cache
 * @param {string} name
 * @param {Pick<import('./pins.mjs').Pin, 'version' | 'wheels'>} pin
 */
export function folderOf(cache, name, { version, wheels }) {
  // only the fields that determine the content, in a fixed order: another text would be another folder
  const content = wheels.map(({ requirement, sha256, options, take, leave }) => {
    return { requirement, sha256, options, take, leave }
  })
  const key = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 12)
  return path.join(cache, `${name}-${version}-${key}`)
}

/** Creates a folder and its parents, which only this user can enter. @param {string} folder @throws WheelProblem FILE_WRITE */
export function makeFolder(folder) {
  try {
    makeFolders(path.resolve(folder))
  } catch (error) {
    throw writeProblem(folder, error)
  }
}

/** Not with { recursive: true }, which never ends under /proc. @param {string} folder an absolute path */
function makeFolders(folder) {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return
    if (code !== 'ENOENT' || path.dirname(folder) === folder) throw error
    makeFolders(path.dirname(folder))
    mkdirSync(folder, { mode: 0o700 })
  }
}

/**
 * Returns the temporary paths of a wheel in the cache: `part` while it is fetched, then `whole`.
 * @param {string} cache
 * @param {{ file: string }} wheel
 */
export function fetchingFiles(cache, { file }) {
  const whole = path.join(cache, `.fetching-${file}`)
  return { whole, part: `${whole}.part` }
}

const unfinished = '.unfinished-'
const oneHour = 3_600_000
const oneMonth = 30 * 24 * oneHour

/**
 * Creates a temporary folder in the cache. It is on the same file system, so the finished content can be renamed.
 * @param {string} cache
 */
export function newUnfinishedFolder(cache) {
  makeFolder(cache)
  try {
    return mkdtempSync(path.join(cache, unfinished))
  } catch (error) {
    throw writeProblem(cache, error)
  }
}

/**
 * Removes what killed installs left: incomplete folders after an hour, because their process may still run, and partial downloads,
 * which another install continues, after a month.
 * @param {string} cache
 */
export function removeForgotten(cache) {
  for (const name of readdirSync(cache)) {
    const lifetime = name.startsWith(unfinished) ? oneHour : name.startsWith('.fetching-') ? oneMonth : Infinity
    const file = path.join(cache, name)
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > lifetime) rmSync(file, { recursive: true, force: true })
  }
}

/**
 * Reads the first `bytes` bytes of a file, or all of a shorter one, as UTF-8. Does not block if the file is a pipe without a writer.
 * @param {string} file
 * @param {number} bytes
 */
export function firstBytes(file, bytes) {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const start = Buffer.alloc(bytes)
    return start.toString('utf8', 0, readSync(opened, start))
  } finally {
    closeSync(opened)
  }
}
