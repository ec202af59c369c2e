import { lstat } from 'node:fs/promises'
import { VggError } from '../error.js'

/**
 * Checks that no file that will be written in the folder of a run is a symbolic link: who made the folder could have another file
 * overwritten. Links to folders are followed.
 * @throws FILE_WRITE
 */
export async function checkNoLinks(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const found = await lstat(file).catch(() => undefined)
    if (!found?.isSymbolicLink()) continue
    const message = `Could not write ${file}: it is a symbolic link, and the file that it leads to would be overwritten; remove it (rm), or replace it by a copy`
    throw new VggError('FILE_WRITE', message)
  }
}
