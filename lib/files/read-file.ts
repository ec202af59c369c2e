import { type FileHandle, open } from 'node:fs/promises'
import { systemCode } from './atomic-file.js'

/** Largest file that is read as a whole, in bytes: as with `readFile` of node:fs. */
const largestFile = 2 ** 31 - 1

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

/**
 * Reads a whole file. `readFile` of node:fs takes a read of fewer bytes than it asked for as the end of the file, but the
 * system reads fewer bytes before a block that it cannot read: the file would be cut off without an error.
 * @throws errors of node:fs
 */
export async function readBytes(path: string): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    if (size > largestFile) throw new RangeError(`it has ${size} bytes, more than ${largestFile}`)
    const bytes = Buffer.alloc(size)
    let filled = 0
    for (let some = -1; some !== 0 && filled < size; filled += some)
      some = await readSome(handle, bytes.subarray(filled), filled)
    return bytes.subarray(0, filled)
  } finally {
    await closeRead(handle)
  }
}
