import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { VggError } from '../error.js'
import { systemCode } from './atomic-file.js'

/** Error for a path that leads to something else than a regular file. */
export class NotAFile extends VggError {
  /** What it is: `a folder`, `a device, which is not read`. */
  readonly kind: string
  readonly isFolder: boolean

  constructor(path: string, found: Stats) {
    const kind = kindOf(found)
    super('FILE_FORMAT', `Expected a file for ${path} but it is ${kind}`)
    this.kind = kind
    this.isFolder = found.isDirectory()
  }
}

const kindOf = (found: Stats): string =>
  found.isDirectory()
    ? 'a folder'
    : found.isFIFO()
      ? 'a named pipe, which is not read: write its data to a file'
      : found.isSocket()
        ? 'a socket, which is not read'
        : 'a device, which is not read'

function checkRegular(path: string, found: Stats): void {
  if (!found.isFile()) throw new NotAFile(path, found)
}

/**
 * Opens a regular file for reading, also through links. Never waits: a pipe without a writer would block a thread of the
 * process, and opening a device can change it.
 * @throws NotAFile; the errors of node:fs
 */
export const openRegularFile = async (path: string): Promise<FileHandle> => (await opened(path)).handle

/** An open regular file and its size in bytes. */
async function opened(path: string): Promise<{ handle: FileHandle; size: number }> {
  checkRegular(path, await stat(path))
  // the path may lead elsewhere by now
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  try {
    const found = await handle.stat()
    checkRegular(path, found)
    return { handle, size: found.size }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Reads a regular file: as many bytes as it has when it is opened, also if it grows meanwhile.
 * @param limit greatest number of bytes; a larger file is not read
 * @param errorOf the error for a larger file
 * @throws NotAFile; the error for a larger file, by default FILE_FORMAT; the errors of node:fs
 */
export async function readRegularFile(
  path: string,
  limit: number,
  errorOf = (size: number): VggError => tooLarge(path, limit, size),
): Promise<Buffer> {
  const { handle, size } = await opened(path)
  try {
    if (size > limit) throw errorOf(size)
    const bytes = Buffer.allocUnsafeSlow(size)
    return bytes.subarray(0, await filled(handle, bytes))
  } finally {
    await closeRead(handle)
  }
}

/**
 * Reads a regular file as {@link readRegularFile} does, in blocks of at most `blockBytes`. The event loop runs between two
 * blocks. A block is valid until the next one is taken.
 */
export async function* blocksOf(path: string, limit: number, blockBytes: number): AsyncGenerator<Buffer> {
  const { handle, size } = await opened(path)
  try {
    if (size > limit) throw tooLarge(path, limit, size)
    const bytes = Buffer.allocUnsafeSlow(Math.min(size, blockBytes))
    for (let done = 0, some = -1; some !== 0 && done < size; done += some) {
      some = await filled(handle, bytes.subarray(0, size - done), done)
      yield bytes.subarray(0, some)
    }
  } finally {
    await closeRead(handle)
  }
}

const tooLarge = (path: string, limit: number, size: number): VggError =>
  new VggError('FILE_FORMAT', `Expected at most ${limit} bytes for ${path} but it has ${size}`)

/**
 * Fills `bytes` from a position in a file; returns how many there were. `readFile` of node:fs takes a read of fewer bytes
 * than it asked for as the end of the file, but the system reads fewer bytes before a block that it cannot read: the file
 * would be cut off without an error.
 */
export async function filled(handle: FileHandle, bytes: Uint8Array, position = 0): Promise<number> {
  let done = 0
  for (let some = -1; some !== 0 && done < bytes.length; done += some)
    some = await readSome(handle, bytes.subarray(done), position + done)
  return done
}

/**
 * Reads at most `bytes.length` bytes from a position. A read that a signal interrupts is repeated, as libuv repeats writes.
 * @returns number of bytes read, 0 at the end of the file
 * @throws errors of node:fs
 */
export async function readSome(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  for (;;) {
    try {
      return (await handle.read(bytes, 0, bytes.length, position)).bytesRead
    } catch (error) {
      if (systemCode(error) !== 'EINTR') throw error
    }
  }
}

/** Closes a file that was only read. Its bytes are known, so an error has no meaning. */
export const closeRead = (handle: FileHandle): Promise<void> => handle.close().catch(() => undefined)
