import { randomBytes } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { VggError } from '../error.js'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EISDIR: 'it is a folder',
}

/** The system's code of an error of node:fs, or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function writeError(file: string, cause: unknown): VggError {
  const reason = reasons[systemCode(cause) ?? ''] ?? (cause instanceof Error ? cause.message : String(cause))
  return new VggError('FILE_WRITE', `Could not write ${file}: ${reason}; what was there before is unchanged`, { cause })
}

// A link stays a link: the file that it points to is replaced.
async function target(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path.resolve(file)
    throw error
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function fill(handle: FileHandle, parts: Iterable<Uint8Array>): Promise<void> {
  try {
    // writeFile goes on from the current position, and writes a part whole
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
    const folder = path.dirname(goal)
    const name = `.${path.basename(goal).slice(0, 100)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`
    const temporary = path.join(folder, name)
    const handle = await open(temporary, 'wx')
    try {
      await fill(handle, parts)
      await rename(temporary, goal)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await syncFolder(folder)
  } catch (error) {
    throw writeError(file, error)
  }
}

async function isFolder(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory()
  } catch {
    return false
  }
}
