import { constants } from 'node:fs'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { VggError, withEnd } from '../error.js'
import { isObject } from '../options.js'
import { writeError } from './atomic-file.js'
import { ifThere, isCurrent, takeLock } from './file-lock.js'
import { isFolder } from './not-found.js'

/** A folder that only the holder of this lock writes to. */
export interface FolderLock {
  readonly folder: string
  /** Checks that this lock is still that of the folder. @throws FOLDER_IN_USE if the lock file was replaced, by another process; FILE_WRITE if the folder or the lock file was removed */
  check(): Promise<void>
  /** Releases the lock, and removes its file. Never rejects: a file that stays locks nothing. */
  release(): Promise<void>
}

/** The process that holds a lock, for messages only. Its id may be that of another container. */
interface Owner {
  readonly host: string
  readonly pid: number
}

const fileName = '.lock'
/** Bytes of the lock file that are read. */
const longestOwner = 1024
/** How often the lock file is opened again because its last holder has just removed it. */
const attempts = 1000

// NFS locks only files that are open for writing, and no folders. A lock file is no link to another file, and no pipe to wait for.
const openFlags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Locks a folder, because two trainings in one folder would overwrite each other's files. The lock is that of `takeLock`.
 * @throws FOLDER_IN_USE, FILE_WRITE
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = path.join(folder, fileName)
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const handle = await open(file, openFlags, 0o666)
      if (await isLocked(handle, folder, file)) {
        return { folder, check: () => checkLock(folder, file, handle), release: () => releaseLock(file, handle) }
      }
    }
    throw inUse(folder, undefined)
  } catch (error) {
    throw error instanceof VggError ? error : writeError(file, error)
  }
}

/** Locks the open file. False if it is no longer the one of that name. @throws VggError, errors of node:fs. The file is closed unless it is locked. */
async function isLocked(handle: FileHandle, folder: string, file: string): Promise<boolean> {
  let done = false
  const take = async (): Promise<void> => {
    if (!(await handle.stat()).isFile()) {
      throw new VggError('FILE_WRITE', `Could not write ${file}: it is not a regular file; remove it`)
    }
    const locking = await takeLock(handle, file)
    if (locking === 'held') throw inUse(folder, await ownerIn(handle))
    if (typeof locking === 'object') throw noLocks(folder, locking.refused)
    done = locking === 'taken'
    // an old name is better than no lock, as on a full disk
    if (done) await writeOwner(handle).catch(() => undefined)
  }
  await withEnd(take, () => (done ? undefined : handle.close()))
  return done
}

function noLocks(folder: string, name: string): VggError {
  const cure =
    'mount it with locks (NFS: version 4, or with lockd; Lustre: -o flock), or choose a folder on another one'
  return new VggError('FILE_WRITE', `Could not lock ${folder}: its file system refuses locks (${name}); ${cure}`)
}

async function writeOwner(handle: FileHandle): Promise<void> {
  const owner: Owner = { host: hostname(), pid: process.pid }
  await handle.truncate(0)
  await handle.write(JSON.stringify(owner), 0)
}

/** The holder that a lock file names; undefined if it names none. */
async function ownerIn(handle: FileHandle): Promise<Owner | undefined> {
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(longestOwner), 0, longestOwner, 0)
    const value: unknown = JSON.parse(buffer.toString('utf8', 0, bytesRead))
    if (!isObject(value) || typeof value.host !== 'string' || !Number.isSafeInteger(value.pid)) return undefined
    return value as unknown as Owner
  } catch {
    return undefined
  }
}

async function checkLock(folder: string, file: string, handle: FileHandle): Promise<void> {
  try {
    if (await isCurrent(handle, file)) return
    if ((await ifThere(stat(file))) !== undefined) throw inUse(folder, undefined)
  } catch (error) {
    throw error instanceof VggError ? error : writeError(file, error)
  }
  throw new VggError('FILE_WRITE', `Could not write in ${folder}: ${(await isFolder(folder)) ? unlocked : removed}`)
}

const removed =
  'the folder was removed while this process wrote there; make sure that nothing removes it, and start again'
const unlocked = `its file ${fileName} was removed while this process wrote there; make sure that no other process writes there, and continue from the last checkpoint`

async function releaseLock(file: string, handle: FileHandle): Promise<void> {
  // removed while it is locked: nobody else removes it, or takes a file without a name for the lock
  if (await isCurrent(handle, file).catch(() => false)) await unlink(file).catch(() => undefined)
  await handle.close().catch(() => undefined)
}

function inUse(folder: string, owner: Owner | undefined): VggError {
  const who = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host}`
  const cure = 'wait until it ends, or choose another folder'
  return new VggError('FOLDER_IN_USE', `Expected ${folder} to be free, but ${who} writes there; ${cure}`)
}
