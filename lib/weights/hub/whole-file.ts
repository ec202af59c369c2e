import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { throwIfAborted, VggError, withEnd } from '../../error.js'
import { makeFolder, syncFolder, writeError } from '../../files/atomic-file.js'
import { type FolderLock, lockFolder } from '../../files/folder-lock.js'
import { bytesText } from '../../table.js'
import { Changed } from './faults.js'
import type { FetchOptions, FileDetails, Repository } from './repository.js'

/** A file of a repository at a commit. */
export interface RepositoryFile {
  readonly commit: string
  /** Path in the repository. */
  readonly file: string
}

/** The hash of a file is another one than the hub states. */
class WrongHash extends VggError {}

/**
 * Fetches a whole file into the hub's cache, and checks its hash. Bytes that an earlier download left are used. Two processes
 * do not fetch one repository at once: the second waits, and finds the file.
 * @throws DOWNLOAD_FAILED, HASH_MISMATCH, FILE_WRITE, FOLDER_IN_USE, ABORTED
 */
export async function fetchIntoCache(
  repository: Repository,
  { commit, file }: RepositoryFile,
  options: FetchOptions,
): Promise<string> {
  const { whole: cache } = repository
  const details = await repository.details(commit, file)
  const blob = cache.blob(details.hash)
  if ((await sizeOf(blob.whole)) !== details.size) {
    await makeFolder(path.dirname(blob.whole))
    const lock = await waitForLock(cache.locks, blob.part, options.signal)
    const fetched = async (): Promise<void> => {
      if ((await sizeOf(blob.whole)) !== details.size)
        await fetchBlob(repository, { url: repository.url(commit, file), file, ...details, ...blob }, options)
    }
    await withEnd(fetched, () => lock.release())
  }
  return cache.link(details.hash, commit, file)
}

interface Blob extends FileDetails {
  readonly url: string
  /** Path in the repository, for messages. */
  readonly file: string
  readonly whole: string
  readonly part: string
}

async function fetchBlob(repository: Repository, blob: Blob, options: FetchOptions): Promise<void> {
  const kept = await sizeOf(blob.part)
  try {
    await fillBlob(repository, blob, options)
  } catch (error) {
    // what an earlier download left may be what is wrong
    const again = error instanceof Changed || (error instanceof WrongHash && kept !== undefined)
    if (!again) throw error
    await fillBlob(repository, blob, options)
  }
  try {
    await rename(blob.part, blob.whole)
    await syncFolder(path.dirname(blob.whole))
  } catch (error) {
    throw writeError(blob.whole, error)
  }
}

/** Appends what is missing in the unfinished file, and checks it. A file that is wrong is removed. */
async function fillBlob({ transport }: Repository, blob: Blob, options: FetchOptions): Promise<void> {
  const { url, part, size } = blob
  const hash = createHash(blob.hash.length === 64 ? 'sha256' : 'sha1')
  // git hashes a line with the size before the content
  if (blob.hash.length !== 64) hash.update(`blob ${size}\0`)
  const handle = await written(part, () => open(part, 'a+'))
  const fill = async (): Promise<void> => {
    let received = await hashedBytes(handle, hash, blob)
    await checkSpace(path.dirname(part), size - received)
    if (received === size) return
    for await (const bytes of transport.bytes(url, { begin: received, end: size, size, whole: 'skip' })) {
      hash.update(bytes)
      await written(part, () => handle.appendFile(bytes))
      received += bytes.length
      options.onProgress?.({ received, total: size })
    }
    await written(part, () => handle.sync())
  }
  try {
    await withEnd(fill, () => handle.close())
    const found = hash.digest('hex')
    if (found !== blob.hash) throw wrongHash(blob, found)
  } catch (error) {
    if (error instanceof WrongHash || error instanceof Changed) await rm(part, { force: true })
    throw error
  }
}

/** Hashes the bytes that an earlier download left, and returns their number. Too many are removed. */
async function hashedBytes(handle: FileHandle, hash: Hash, { part, size }: Blob): Promise<number> {
  const { size: kept } = await handle.stat()
  if (kept > size) {
    await written(part, () => handle.truncate(0))
    return 0
  }
  const block = new Uint8Array(Math.min(kept, 2 ** 22))
  for (let at = 0; at < kept; ) {
    const { bytesRead } = await written(part, () => handle.read(block, 0, block.length, at))
    if (bytesRead === 0) throw writeError(part, new Error('it became shorter while it was read'))
    hash.update(block.subarray(0, bytesRead))
    at += bytesRead
  }
  return kept
}

/** Does `work` on the file, an error of which is FILE_WRITE. */
async function written<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw writeError(file, error)
  }
}

/** Checks that a folder has space for a number of bytes. @throws FILE_WRITE */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await written(folder, () => statfs(folder))
  const free = bavail * bsize
  if (free >= bytes) return
  const cure = 'free some, or set HF_HOME and VGGNET_CACHE to folders on another device'
  throw new VggError(
    'FILE_WRITE',
    `Expected ${bytesText(bytes)} of free space in ${folder} but it has ${bytesText(free)}; ${cure}`,
  )
}

/** Longest time in milliseconds in which the file that another process fetches does not grow. */
const patience = 300_000

/** Waits until no other process fetches files of the repository, as long as its download proceeds. @throws FOLDER_IN_USE, FILE_WRITE, ABORTED */
async function waitForLock(folder: string, part: string, signal: AbortSignal | undefined): Promise<FolderLock> {
  await makeFolder(folder)
  let [size, since] = [await sizeOf(part), Date.now()]
  for (;;) {
    throwIfAborted(signal, 'The download')
    try {
      return await lockFolder(folder)
    } catch (error) {
      if (!(error instanceof VggError && error.code === 'FOLDER_IN_USE')) throw error
      const now = await sizeOf(part)
      if (now !== size) [size, since] = [now, Date.now()]
      if (Date.now() - since > patience) throw error
      await pause(100)
    }
  }
}

/** Size of a file in bytes; undefined if there is none. */
const sizeOf = (file: string): Promise<number | undefined> =>
  stat(file).then(
    ({ size }) => size,
    () => undefined,
  )

function wrongHash({ file, url, hash, size }: Blob, found: string): WrongHash {
  const cure = `it was removed; try again, and if that does not help, report it to the owner of ${new URL(url).origin}`
  return new WrongHash(
    'HASH_MISMATCH',
    `Expected ${file} (${size} bytes) with the hash ${hash} but received ${found}: ${cure}`,
  )
}
