import { randomBytes } from 'node:crypto'
import { copyFile, type FileHandle, link, open, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EISDIR: 'it is a folder',
  EEXIST: 'a file of that name exists',
  EFBIG: 'the file would be larger than the system allows',
  EIO: 'the device reports an error',
}

/** Returns the system code of an error of node:fs, such as ENOENT, or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function reasonOf(cause: unknown): string {
  return reasons[systemCode(cause) ?? ''] ?? messageOf(cause)
}

/** Creates the error for a file or folder that could not be written. */
export function writeError(file: string, cause: unknown): VggError {
  return new VggError('FILE_WRITE', `Could not write ${file}: ${reasonOf(cause)}`, { cause })
}

const unchanged = (file: string, cause: unknown): VggError =>
  new VggError('FILE_WRITE', `Could not write ${file}: ${reasonOf(cause)}; the old content is unchanged`, {
    cause,
  })

// A symbolic link is kept: the file that it points to is replaced.
async function target(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path.resolve(file)
    throw error
  }
}

/** Syncs a folder, so that renamed, linked and removed files in it survive a crash. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function fill(handle: FileHandle, parts: Iterable<Uint8Array>): Promise<void> {
  try {
    // writeFile writes all of a part, from the current file offset
    for (const part of parts) await handle.writeFile(part)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a file atomically: writes a temporary file in the same folder, syncs it, renames it, and syncs the folder. A reader sees
 * either the old or the new file, even after a crash.
 * @throws FILE_WRITE; the temporary file is removed, and the old file is unchanged
 */
export async function writeAtomically(file: string, parts: Iterable<Uint8Array>): Promise<void> {
  try {
    const goal = await target(file)
    if (await isFolder(goal)) throw Object.assign(new Error(`${file} is a folder`), { code: 'EISDIR' })
    const temporary = temporaryFor(goal)
    const handle = await open(temporary, 'wx')
    try {
      await fill(handle, parts)
      await rename(temporary, goal)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await syncFolder(path.dirname(goal))
  } catch (error) {
    throw unchanged(file, error)
  }
}

/** Replaces `other` by a hard link to `file`, or by a copy on a file system without links. @throws FILE_WRITE */
export async function linkAtomically(file: string, other: string): Promise<void> {
  const temporary = temporaryFor(other)
  try {
    try {
      await link(file, temporary).catch((error) => {
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV'].includes(systemCode(error) ?? ''))
          throw error
        return copySynced(file, temporary)
      })
      await rename(temporary, other)
    } finally {
      // rename does nothing if both names are links to the same file
      await rm(temporary, { force: true })
    }
    await syncFolder(path.dirname(other))
  } catch (error) {
    throw unchanged(other, error)
  }
}

async function copySynced(file: string, to: string): Promise<void> {
  await copyFile(file, to)
  const handle = await open(to, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Whether a file name is that of an unfinished file of `writeAtomically`. */
export const isTemporary = (name: string): boolean => /^\..+\.\d+-[0-9a-f]{12}\.tmp$/.test(name)

function temporaryFor(goal: string): string {
  const name = `.${path.basename(goal).slice(0, 100)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`
  return path.join(path.dirname(goal), name)
}

async function isFolder(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory()
  } catch {
    return false
  }
}
