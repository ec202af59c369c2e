import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { constants } from 'node:os'
import path from 'node:path'
import { messageOf, VggError, withEnd } from '../error.js'
import { isFolder } from './not-found.js'

/** The reasons of the system for a failed write, each with what to do. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist; create it, or choose another folder',
  ENOTDIR: 'its folder is a file; choose another folder',
  EACCES: 'permission denied; allow it (chmod u+w), or choose another folder',
  EPERM: 'permission denied; allow it (chmod u+w, chattr -i), or choose another folder',
  EROFS: 'the file system is read-only; choose another folder',
  ENOSPC: 'no space left on the device; free some, or choose a folder on another device',
  EDQUOT: 'the disk quota is used up; free some space, or choose a folder on another device',
  EISDIR: 'it is a folder; choose another name',
  EEXIST: 'a file of that name exists; choose another name',
  EFBIG: 'the file would be larger than the system allows; raise the limit (ulimit -f)',
  EIO: 'the device reports an error; choose a folder on another device',
}

/** Returns the system code of an error of node:fs, such as ENOENT, or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined
  // libuv has no name for it
  return 'errno' in error && error.errno === -constants.errno.EDQUOT ? 'EDQUOT' : error.code
}

function reasonOf(cause: unknown): string {
  return reasons[systemCode(cause) ?? ''] ?? messageOf(cause)
}

/** Creates the error for a file or folder that could not be written. */
export function writeError(file: string, cause: unknown): VggError {
  return new VggError('FILE_WRITE', `Could not write ${file}: ${reasonOf(cause)}`, { cause })
}

/** The error for a file that is replaced as a whole or not at all. */
async function unchangedError(file: string, cause: unknown): Promise<VggError> {
  const { message } = writeError(file, cause)
  const isThere = await lstat(file).then(
    () => true,
    () => false,
  )
  return new VggError('FILE_WRITE', isThere ? `${message}; the old content is unchanged` : message, { cause })
}

/** Syncs the folder of a file that has just been replaced. @throws FILE_WRITE */
async function syncReplaced(goal: string, file: string): Promise<void> {
  const folder = path.dirname(goal)
  try {
    await syncFolder(folder)
  } catch (cause) {
    const message = `Could not sync ${folder}: ${reasonOf(cause)}; ${file} has its new content, which a power failure may undo`
    throw new VggError('FILE_WRITE', message, { cause })
  }
}

// A symbolic link is kept: the file that it points to is replaced.
async function target(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path.resolve(file)
    throw error
  }
}

/** Syncs a folder, so that new, renamed, linked and removed files in it survive a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    await synced(await open(folder, 'r'))
  } catch (error) {
    // the file system syncs no folders, or this one may be written to and not read
    if (!['EINVAL', 'EACCES'].includes(systemCode(error) ?? '')) throw error
  }
}

/** Syncs and closes an open file or folder, after `write`. */
async function synced(handle: FileHandle, write: () => Promise<void> = async () => undefined): Promise<void> {
  const work = async (): Promise<void> => {
    await write()
    await handle.sync()
  }
  await withEnd(work, () => handle.close())
}

type Parts = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

async function fill(handle: FileHandle, parts: Parts): Promise<void> {
  // writeFile writes all of a part, from the current file offset
  for await (const part of parts) await handle.writeFile(part)
}

/**
 * Creates a folder and those above it. Not with `recursive` of node:fs, which never ends under /proc and in a working folder that
 * was removed.
 * @returns path of the first folder that was created; undefined if all exist
 * @throws errors of node:fs
 */
export async function makeFolders(folder: string): Promise<string | undefined> {
  const make = (): Promise<string | undefined> =>
    mkdir(folder).then(
      () => folder,
      async (error) => {
        // another process may have created it
        if (await isFolder(folder)) return undefined
        throw error
      },
    )
  try {
    return await make()
  } catch (error) {
    const above = path.dirname(folder)
    if (systemCode(error) !== 'ENOENT' || above === folder) throw error
    const first = await makeFolders(above)
    const own = await make()
    return first ?? own
  }
}

/** Creates a folder and those above it, and syncs the folders that the new ones are in. @throws FILE_WRITE */
export async function makeFolder(folder: string): Promise<void> {
  try {
    const first = await makeFolders(path.resolve(folder))
    if (first === undefined) return
    const above = path.dirname(first)
    const names = path.relative(above, path.resolve(folder)).split(path.sep)
    // the folder of each new folder: without its sync, a power failure may remove a file that was synced
    for (const index of names.keys()) await syncFolder(path.join(above, ...names.slice(0, index)))
  } catch (error) {
    throw writeError(folder, error)
  }
}

/** Permissions of a file; undefined if there is none. */
const modeOf = (file: string): Promise<number | undefined> =>
  stat(file).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  )

/** Opens a new file. @param mode permissions, which it has at no time more of; undefined for those of new files */
async function openNew(file: string, mode: number | undefined): Promise<FileHandle> {
  if (mode === undefined) return open(file, 'wx')
  const handle = await open(file, 'wx', 0o600)
  await handle.chmod(mode).catch(() => undefined)
  return handle
}

/**
 * Writes a file atomically: writes a temporary file in the same folder, syncs it, renames it, and syncs the folder. A reader sees
 * either the old or the new file, even after a power failure. A file that is replaced keeps its permissions.
 * @throws FILE_WRITE, and a VggError of `parts`; the temporary file is removed, and the old file is unchanged unless the message
 *   says that only the folder could not be synced
 */
export async function writeAtomically(file: string, parts: Parts): Promise<void> {
  let goal: string
  try {
    goal = await target(file)
    if (await isFolder(goal)) throw Object.assign(new Error(`${file} is a folder`), { code: 'EISDIR' })
    const temporary = temporaryFor(goal)
    const handle = await openNew(temporary, await modeOf(goal))
    try {
      await synced(handle, () => fill(handle, parts))
      await rename(temporary, goal)
    } catch (error) {
      // the first error counts, also where a file system that has become read-only keeps the file
      await unlink(temporary).catch(() => undefined)
      throw error
    }
  } catch (error) {
    throw error instanceof VggError ? error : await unchangedError(file, error)
  }
  await syncReplaced(goal, file)
}

/** Codes of `link` on a file system without links, or without another one. */
const noLink = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS', 'EXDEV']

/**
 * Replaces `other` by a hard link to `file`, or by a copy: on a file system without links, and where `other` has other permissions,
 * which it keeps.
 * @throws FILE_WRITE as `writeAtomically`
 */
export async function linkAtomically(file: string, other: string): Promise<void> {
  const [mode, kept] = await Promise.all([modeOf(file), modeOf(other)])
  const copy = (): Promise<void> => writeAtomically(other, createReadStream(file))
  if (kept !== undefined && kept !== mode) return copy()
  const temporary = temporaryFor(other)
  const replace = async (): Promise<void> => {
    await link(file, temporary)
    await rename(temporary, other)
  }
  try {
    // rename does nothing if both names are links to the same file
    await withEnd(replace, () => rm(temporary, { force: true }))
  } catch (error) {
    if (noLink.includes(systemCode(error) ?? '')) return copy()
    throw await unchangedError(other, error)
  }
  await syncReplaced(other, other)
}

/** Whether a file name is that of an unfinished file of `writeAtomically`. */
export const isTemporary = (name: string): boolean => /^\..+\.\d+-[0-9a-f]{12}\.tmp$/.test(name)

function temporaryFor(goal: string): string {
  const name = `.${path.basename(goal).slice(0, 100)}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`
  return path.join(path.dirname(goal), name)
}

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
