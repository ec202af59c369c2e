import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { VggError, withEnd } from '../error.js'

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
export async function openRegularFile(path: string): Promise<FileHandle> {
  checkRegular(path, await stat(path))
  // the path may lead elsewhere by now
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  try {
    checkRegular(path, await handle.stat())
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Reads a regular file: as many bytes as it has when it is opened, also if it grows meanwhile.
 * @param limit greatest number of bytes; a larger file is not read
 * @param tooLarge the error for a larger file
 * @throws NotAFile; the error for a larger file, by default FILE_FORMAT; the errors of node:fs
 */
export async function readRegularFile(
  path: string,
  limit: number,
  tooLarge = (size: number) =>
    new VggError('FILE_FORMAT', `Expected at most ${limit} bytes for ${path} but it has ${size}`),
): Promise<Buffer> {
  const handle = await openRegularFile(path)
  const read = async (): Promise<Buffer> => {
    const { size } = await handle.stat()
    if (size > limit) throw tooLarge(size)
    const bytes = Buffer.allocUnsafeSlow(size)
    return bytes.subarray(0, await filled(handle, bytes))
  }
  return withEnd(read, () => handle.close())
}

/** Fills `bytes` from the start of a file; returns how many there were. */
export async function filled(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  let done = 0
  for (let length = -1; length !== 0 && done < bytes.length; done += length) {
    length = (await handle.read(bytes, done, bytes.length - done, done)).bytesRead
  }
  return done
}
