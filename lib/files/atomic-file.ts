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
  EEXIST: 'a file is in its position',
  EFBIG: 'the file would be larger than the system allows',
  EIO: 'the device reports an error',
}

/** The system's code of an error of node:fs, or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function reasonOf(cause: unknown): string {
  return reasons[systemCode(cause) ?? ''] ?? messageOf(cause)
}

/** The error for a file or folder that could not be written. */
export function writeError(file: string, cause: unknown): VggError {
  return new VggError('FILE_WRITE', `Could not write ${file}: ${reasonOf(cause)}`, { cause })
}

const unchanged = (file: string, cause: unknown): VggError =>
  new VggError('FILE_WRITE', `Could not write ${file}: ${reasonOf(cause)}; what was there before is unchanged`, {
    cause,
  })

// A link stays a link: the file that it points to is replaced.
async function target(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path.resolve(file)
    throw error
  }
}

/** Makes what was renamed, linked or removed in a folder last. */
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
    // writeFile starts at the current position, and writes all bytes
    for (const part of parts) await handle.writeFile(part)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a file whole or not at all: to a temporary file beside it, synced, renamed over it, and the folder synced.
 * A reader sees the old file or the new one, also after a crash.
 * @throws FILE_WRITE; no temporary file is left, and the old file is as it was
 */
export async function writeAtomically(file: string, parts: Iterable<Uint8Array>): Promise<void> {
  try {
    const goal = await target(file)
    if (await isFolder(goal)) throw Object.assign(new Error(`${file} is a folder`), { code: 'EISDIR' })
    const temporary = temporaryBeside(goal)
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

/** Gives a file a second name, replacing the file that had it; where the file system has no links, a copy. @throws FILE_WRITE */
export async function linkAtomically(file: string, other: string): Promise<void> {
  const temporary = temporaryBeside(other)
  try {
    try {
      await link(file, temporary).catch((error) => {
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV'].includes(systemCode(error) ?? ''))
          throw error
        return copySynced(file, temporary)
      })
      await rename(temporary, other)
    } finally {
      // a rename between two names of one file does nothing
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

/** Whether a name is that of a file which `writeAtomically` had not finished, or its process was killed. */
export const isTemporary = (name: string): boolean => /^\..+\.\d+-[0-9a-f]{12}\.tmp$/.test(name)

function temporaryBeside(goal: string): string {
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
