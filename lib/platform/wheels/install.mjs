import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { folderOf, makeFolder, newUnfinishedFolder, removeForgotten } from './cache.mjs'
import { fetchWheel, wrongHash } from './fetch.mjs'
import { holdLock } from './lock.mjs'
import { pins } from './pins.mjs'
import { isSystemError, WheelProblem, writeProblem } from './problem.mjs'
import { findPython } from './python.mjs'
import { unpackWheel } from './zip.mjs'

/**
 * @typedef {import('./pins.mjs').Pin} Pin
 * @typedef {import('./pins.mjs').Wheel} Wheel
 * @typedef {import('./fetch.mjs').Watching} Watching
 * @typedef {keyof typeof pins} PinName
 * @typedef {{ folder: string, bytes: number }} Removed a removed folder or partial download, and its size
 * @typedef {(wheel: Wheel, watching: Watching) => Promise<import('./fetch.mjs').Fetched>} Source where wheels come from
 */

/**
 * Wheels that pip fetches, by its settings. Python is looked for only where something is to be fetched.
 * @param {string} cache
 * @returns {Source}
 */
export const pipSource = (cache) => async (wheel, watching) =>
  fetchWheel(wheel, { cache, python: await findPython(), ...watching })

/**
 * Wheels that lie in a folder, under the names that the index gives them; they are left there.
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
  const mismatch = `Expected SHA-256 ${wheel.sha256} for ${file} but received ${wrong}`
  throw new WheelProblem(
    'HASH_MISMATCH',
    `${mismatch}: it is damaged, or another file of that name; nothing of it was used`,
  )
}

// Atomic: the folder appears whole or not at all. Whoever comes second keeps what the first has put there.
/** @param {string} finished @param {string} target */
function moveInto(finished, target) {
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
    moveInto(content, target)
    for (const { forget } of fetched) forget()
  } catch (error) {
    throw writeProblem(cache, error)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/**
 * Fetches, checks and unpacks a pin, where the cache does not hold it yet. Of several processes that do so at once one works,
 * and the others wait for it.
 * @param {{ cache: string, name: string, pin: Pin, source: Source } & Watching} what
 * @returns {Promise<string>} the folder
 * @throws WheelProblem, or the reason of `signal`
 */
export async function installPin(what) {
  const { cache, name, pin, signal, onProgress } = what
  const target = folderOf(cache, name, pin)
  if (existsSync(target)) return target
  makeFolder(cache)
  const onWaiting = (/** @type {number} */ owner) =>
    onProgress?.({ doing: 'waiting', bytes: 0, of: 0, reason: `for process ${owner}, which does the same` })
  await holdLock(target, () => (existsSync(target) ? undefined : install(what, target)), { onWaiting, signal })
  return target
}

/** The bytes of a file or of all files under a folder; links are counted as they are, not followed. @param {string} file @returns {number} */
function bytesUnder(file) {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (!found?.isDirectory()) return found?.size ?? 0
  return readdirSync(file).reduce((sum, name) => sum + bytesUnder(path.join(file, name)), 0)
}

/**
 * What was fetched for a pin, in this version of it or another, whole or in part.
 * @param {string} cache
 * @param {PinName} name
 */
function namesOf(cache, name) {
  if (!existsSync(cache)) return []
  const folder = new RegExp(`^${name}-[\\d.]+-[0-9a-f]{12}$`)
  const distributions = pins[name].wheels.map(({ file }) => `.fetching-${file.split('-')[0]}-`)
  const isFetched = (/** @type {string} */ one) => distributions.some((start) => one.startsWith(start))
  return readdirSync(cache).filter((one) => folder.test(one) || isFetched(one))
}

/** The processes that have files under one of these folders open as libraries, as far as they can be seen. @param {string[]} folders */
function holdersOf(folders) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const maps = readFileSync(`/proc/${pid}/maps`, 'utf8')
        return folders.some((folder) => maps.includes(` ${folder}/`))
      } catch {
        return false // it has ended, or is another user's
      }
    })
    .map(Number)
}

/**
 * Removes what was fetched for these pins, in any version, and nothing else. A process that has the libraries open keeps them
 * until it ends; one that fetches is waited for.
 * @param {string} cache
 * @param {readonly PinName[]} names
 * @param {{ onWaiting?: (owner: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<{ removed: Removed[], holders: number[] }>} `holders`: the processes that have them open
 * @throws WheelProblem FILE_WRITE
 */
export async function removePins(cache, names, options) {
  /** @type {Removed[]} */
  const removed = []
  const found = names.flatMap((name) => namesOf(cache, name)).map((name) => path.join(cache, name))
  const holders = holdersOf(found)
  for (const name of names) {
    const remove = () => {
      for (const one of namesOf(cache, name)) {
        const folder = path.join(cache, one)
        const bytes = bytesUnder(folder)
        // first out of sight, as a whole: nobody is to find it half there
        const unseen = path.join(cache, `.unfinished-removed-${one}-${process.pid}`)
        renameSync(folder, unseen)
        rmSync(unseen, { recursive: true, force: true })
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
