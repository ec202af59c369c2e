import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { folderOf, makeFolder, newUnfinishedFolder, removeForgotten } from './cache.mjs'
import { fetchWheel, wrongHash } from './fetch.mjs'
import { holdLock } from './lock.mjs'
import { pins } from './pins.mjs'
import { checkPrivate } from './private.mjs'
import { isSystemError, WheelProblem, writeProblem } from './problem.mjs'
import { findPython } from './python.mjs'
import { unpackWheel } from './zip.mjs'

/**
 * @typedef {import('./pins.mjs').Pin} Pin
 * @typedef {import('./pins.mjs').Wheel} Wheel
 * @typedef {import('./fetch.mjs').Watching} Watching
 * @typedef {keyof typeof pins} PinName
 * @typedef {{ folder: string, bytes: number }} Removed a removed folder or partial download, and its size
 * @typedef {(wheel: Wheel, watching: Watching) => Promise<import('./fetch.mjs').Fetched>} Source a function that provides wheels
 */

/**
 * Fetches wheels by pip, with the user's settings of pip. Python is searched only if a wheel must be fetched.
 * @param {string} cache
 * @returns {Source}
 */
export const pipSource = (cache) => async (wheel, watching) =>
  fetchWheel(wheel, { cache, python: await findPython(), ...watching })

/**
 * Reads wheels from a folder, under their names in the package index. They are not removed.
 * @param {string} folder
 * @returns {Source}
 */
export const folderSource = (folder) => async (wheel, watching) => {
  const file = path.join(folder, wheel.file)
  if (!existsSync(file)) throw new WheelProblem('FILE_NOT_FOUND', `there is no ${wheel.file} in ${folder}`)
  const wrong = await wrongHash(file, wheel, watching).catch((error) => {
    if (!isSystemError(error)) throw error
    throw new WheelProblem('FILE_FORMAT', `could not read ${file}: ${error.message}`)
  })
  if (wrong === '') return { file, forget: () => undefined }
  const said = `Expected SHA-256 ${wheel.sha256} for ${file} but received ${wrong}`
  throw new WheelProblem('HASH_MISMATCH', `${said}: it is damaged, or another file of that name; it was not used`)
}

// Atomic: the folder appears complete or not at all. If another process was first, its folder stays.
/** @param {string} finished @param {string} target */
function publish(finished, target) {
  try {
    renameSync(finished, target)
  } catch (error) {
    if (!existsSync(target)) throw error
  }
}

/**
 * @param {{ cache: string, pin: Pin, source: Source } & Watching} what
 * @param {string} target
 */
async function install({ cache, pin, source, signal, onProgress }, target) {
  removeForgotten(cache)
  const fetched = []
  for (const wheel of pin.wheels) fetched.push({ wheel, ...(await source(wheel, { signal, onProgress })) })
  const unfinished = newUnfinishedFolder(cache)
  try {
    const content = path.join(unfinished, 'content')
    let bytes = 0
    const onBytes = (/** @type {number} */ more) => {
      bytes += more
      onProgress?.({ doing: 'unpacking', bytes, of: pin.unpackedBytes })
    }
    for (const { wheel, file } of fetched) await unpackWheel(file, wheel, content, { signal, onBytes })
    publish(content, target)
    for (const { forget } of fetched) forget()
  } catch (error) {
    throw writeProblem(cache, error)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/**
 * Fetches, verifies and unpacks a pin that is not in the cache yet. If several processes do so at once, all but the first wait.
 * @param {{ cache: string, name: string, pin: Pin, source: Source } & Watching} what
 * @returns {Promise<string>} the folder
 * @throws WheelProblem, FILE_WRITE also if others can write to the cache; the reason of `signal`
 */
export async function installPin(what) {
  const { cache, name, pin, signal, onProgress } = what
  const target = folderOf(cache, name, pin)
  makeFolder(cache)
  checkPrivate(cache)
  if (existsSync(target)) return target
  const onWaiting = (/** @type {number} */ owner) =>
    onProgress?.({ doing: 'waiting', bytes: 0, of: 0, reason: `for process ${owner}, which installs it` })
  await holdLock(target, () => (existsSync(target) ? undefined : install(what, target)), { onWaiting, signal })
  return target
}

/** Returns the size of a file or of all files under a folder. Links are not followed. @param {string} file @returns {number} */
function bytesUnder(file) {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (!found?.isDirectory()) return found?.size ?? 0
  return readdirSync(file).reduce((sum, name) => sum + bytesUnder(path.join(file, name)), 0)
}

/**
 * Lists the folders and downloads of a pin in the cache, of any version, complete or not.
 * @param {string} cache
 * @param {PinName} name
 */
function namesOf(cache, name) {
  if (!existsSync(cache)) return []
  const folder = new RegExp(`^${name}-[\\d.]+-[0-9a-f]{12}$`)
  const distributions = pins[name].wheels.map(({ file }) => `.fetching-${file.split('-')[0]}-`)
  const isFetched = (/** @type {string} */ file) => distributions.some((start) => file.startsWith(start))
  return readdirSync(cache).filter((file) => folder.test(file) || isFetched(file))
}

/** Lists the visible processes that have loaded a library under one of these folders. @param {string[]} folders */
function holdersOf(folders) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const maps = readFileSync(`/proc/${pid}/maps`, 'utf8')
        return folders.some((folder) => maps.includes(` ${folder}/`))
      } catch {
        return false // the process has ended, or belongs to another user
      }
    })
    .map(Number)
}

/**
 * Removes all versions of these pins from the cache, and nothing else. A process that has loaded the libraries keeps them until it
 * ends. Waits for a process that fetches them.
 * @param {string} cache
 * @param {readonly PinName[]} names
 * @param {{ onWaiting?: (owner: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<{ removed: Removed[], holders: number[] }>} `holders`: processes that have loaded the libraries
 * @throws WheelProblem FILE_WRITE
 */
export async function removePins(cache, names, options) {
  /** @type {Removed[]} */
  const removed = []
  const found = names.flatMap((name) => namesOf(cache, name)).map((name) => path.join(cache, name))
  const holders = holdersOf(found)
  for (const name of names) {
    const remove = () => {
      for (const file of namesOf(cache, name)) {
        const folder = path.join(cache, file)
        const bytes = bytesUnder(folder)
        // renamed first, so that no process finds an incomplete folder
        const hidden = path.join(cache, `.unfinished-removed-${file}-${process.pid}`)
        renameSync(folder, hidden)
        rmSync(hidden, { recursive: true, force: true })
        removed.push({ folder, bytes })
      }
    }
    try {
      await holdLock(folderOf(cache, name, pins[name]), remove, options)
    } catch (error) {
      throw writeProblem(cache, error)
    }
  }
  return { removed, holders }
}
