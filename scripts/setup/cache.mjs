import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** The folder that all clones of one user share. */
export function cacheFolder(env = process.env) {
  if (env.VGGNET_CACHE) return path.resolve(env.VGGNET_CACHE)
  // The XDG specification: a path that is not absolute is to be ignored.
  const base =
    env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : path.join(homedir(), '.cache')
  return path.join(base, 'vggnet')
}

const unfinished = '.unfinished-'
const oneHour = 3_600_000

/** A new folder inside the cache, so that what is finished in it can be renamed into place. */
export function newUnfinishedFolder(cache) {
  mkdirSync(cache, { recursive: true })
  return mkdtempSync(path.join(cache, unfinished))
}

/** Removes what set-ups that were killed have left; one that may still be running keeps its folder. */
export function removeForgottenFolders(cache) {
  for (const name of readdirSync(cache)) {
    const folder = path.join(cache, name)
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (name.startsWith(unfinished) && age > oneHour) rmSync(folder, { recursive: true, force: true })
  }
}
