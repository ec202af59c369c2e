// Who may have written what is opened: a library in the cache is code that runs with all rights of this user.
import { lstatSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { WheelProblem } from './problem.mjs'

const [otherWriters, everyone, sticky] = [0o022, 0o002, 0o1000]

/** @param {string} location */
const quoted = (location) => `'${location.replaceAll("'", "'\\''")}'`

/**
 * Returns why others than this user and root could have changed a file or folder, and what to type; '' if none could.
 * @param {string} location
 * @throws system errors
 */
export function exposureOf(location) {
  const found = lstatSync(location)
  if (found.isSymbolicLink()) return `${location} is a symbolic link`
  const own = process.geteuid?.() ?? 0
  if (found.uid !== own && found.uid !== 0) {
    const cure = own === 0 ? "`sudo -H` takes root's own" : 'VGGNET_CACHE=FOLDER names one of your own'
    return `${location} belongs to user ${found.uid}, not to user ${own}: ${cure}`
  }
  if ((found.mode & otherWriters) === 0) return ''
  const mode = (found.mode & 0o7777).toString(8)
  return `other users can write to ${location} (mode ${mode}): \`chmod -R go-w ${quoted(location)}\``
}

/**
 * Returns why others than this user and root could have changed the cache, and what to type; '' if none could, or if there is
 * no cache. What is in it is not examined.
 * @param {string} cache
 */
export function cacheExposure(cache) {
  let folder
  try {
    folder = realpathSync(cache)
  } catch {
    return ''
  }
  // in a folder that everyone can write to, without the sticky bit, everyone can replace it by another folder
  for (let above = path.dirname(folder); above !== folder; folder = above, above = path.dirname(above)) {
    const { mode } = lstatSync(above)
    if (mode & everyone && !(mode & sticky)) return `all users can replace ${folder}: \`chmod o-w ${quoted(above)}\``
  }
  return exposureOf(realpathSync(cache))
}

/** Refuses a cache that others can write to. @param {string} cache @throws WheelProblem FILE_WRITE */
export function checkPrivate(cache) {
  const exposure = cacheExposure(cache)
  if (exposure !== '') throw new WheelProblem('FILE_WRITE', `The cache is not private, and is not used: ${exposure}`)
}
