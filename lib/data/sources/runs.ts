import { opendir } from 'node:fs/promises'
import path from 'node:path'
import { VggError } from '../../error.js'
import { systemCode } from '../../files/atomic-file.js'
import { readRegularFile } from '../../files/regular-file.js'
import { isObject } from '../../options.js'
import { type JsonLimits, parsedJson } from '../../untrusted.js'
import { type Entries, entriesOf } from './walk.js'

/** Limits of run.json: 65,536 class names of 200 bytes. */
export const runFileLimits: JsonLimits = { bytes: 2 ** 24, depth: 16, values: 2 ** 17, keys: 2 ** 12 }

/** Whether a folder has the run.json of a training run of vggnet. @throws errors of node:fs, if that is not known */
async function isRun(folder: string): Promise<boolean> {
  try {
    const value = parsedJson(await readRegularFile(path.join(folder, 'run.json'), runFileLimits.bytes), runFileLimits)
    return isObject(value) && typeof value.vggnet === 'string' && isObject(value.description)
  } catch (error) {
    // what is no run.json, or one of another program
    if (error instanceof VggError) return false
    const code = systemCode(error)
    if (code === undefined || ['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'].includes(code)) return false
    throw error
  }
}

/** Whether a folder is that of a run, or has only such folders. One with images of its own is not. */
async function holdsRuns(folder: string): Promise<boolean> {
  if (await isRun(folder)) return (await entriesOf(folder)).images.length === 0
  let found = false
  // in a folder of images the first entry decides
  for await (const entry of await opendir(folder)) {
    if (!entry.isDirectory() || !(await holdsRuns(path.join(folder, entry.name)))) return false
    found = true
  }
  return found
}

/**
 * The entries of a folder without the folders of training runs, which a command may have written between its classes.
 * @returns the entries, and the names of those folders
 */
export async function withoutRuns(
  folder: string,
  { folders, ...entries }: Entries,
): Promise<{ entries: Entries; runs: readonly string[] }> {
  const isOwn = await isRun(folder)
  const areRuns = await Promise.all(
    folders.map(async (name) => (isOwn && name === 'checkpoints') || holdsRuns(path.join(folder, name))),
  )
  const runs = folders.filter((_, index) => areRuns[index])
  return { entries: { ...entries, folders: folders.filter((name) => !runs.includes(name)) }, runs }
}
