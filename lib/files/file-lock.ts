import { type FileHandle, stat } from 'node:fs/promises'
import { constants as system } from 'node:os'
import { native } from '../platform/native.js'
import { systemCode } from './atomic-file.js'

/**
 * What became of a lock: it is taken; another open file holds it, in this process or another; the file no longer has its name;
 * or the file system refuses locks, with the name of its error.
 */
export type Locking = 'taken' | 'held' | 'gone' | { readonly refused: string }

/**
 * Takes the kernel's lock of a file that is open for writing. The lock ends with the open file or its process, in whatever way, and
 * excludes other threads, copies of the package, containers, and hosts of a network file system with locks. Programs that this
 * process starts do not inherit it. A file that may be removed is removed only by who holds its lock.
 * @throws errors of node:fs
 */
export async function takeLock(handle: FileHandle, file: string): Promise<Locking> {
  const failed = native().lockFile(handle.fd)
  if (failed === system.errno.EAGAIN) return 'held'
  // removed by another host
  if (failed === system.errno.ESTALE) return 'gone'
  if (failed === 0) return (await isCurrent(handle, file)) ? 'taken' : 'gone'
  const [name] = Object.entries(system.errno).find(([, number]) => number === failed) ?? []
  return { refused: name ?? `error ${failed}` }
}

/** Whether an open file still has its name. @throws errors of node:fs */
export async function isCurrent(handle: FileHandle, file: string): Promise<boolean> {
  const [own, named] = await Promise.all([
    ifThere(handle.stat({ bigint: true })),
    ifThere(stat(file, { bigint: true })),
  ])
  return own !== undefined && own.ino === named?.ino && own.dev === named.dev
}

/** What was found of a file; undefined if there is none. */
export const ifThere = <T>(found: Promise<T>): Promise<T | undefined> =>
  found.catch((error) => {
    // ENOTDIR: the folder was replaced by a file
    if (['ENOENT', 'ENOTDIR', 'ESTALE'].includes(systemCode(error) ?? '')) return undefined
    throw error
  })
