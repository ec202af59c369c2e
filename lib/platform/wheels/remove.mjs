import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { folderOf } from './cache.mjs'
import { holdLock } from './lock.mjs'
import { pins } from './pins.mjs'
import { writeProblem } from './problem.mjs'

/**
 * @typedef {keyof typeof pins} PinName
 * @typedef {{ folder: string, bytes: number }} Removed
 */

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
