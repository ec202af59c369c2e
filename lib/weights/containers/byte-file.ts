import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { blockBytes } from '../../checkpoint/checksum.js'
import { fill, openedFile, sizeOf } from '../../checkpoint/open-file.js'
import { headBytes } from '../../data/images/formats.js'
import { VggError } from '../../error.js'
import { closeRead } from '../../files/regular-file.js'

/**
 * A file that is read from its begin to its end, and hashed on the way, so that the hash needs no second reading. Reading
 * earlier bytes again is possible, and is not hashed again.
 */
export class ByteFile {
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')
  /** Number of bytes that were hashed, from the begin of the file. */
  #hashed = 0
  readonly size: number

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.size = size
  }

  /** Opens a file. @throws FILE_NOT_FOUND; FILE_FORMAT for a folder or a device */
  static async open(path: string): Promise<ByteFile> {
    const handle = await openedFile(path)
    try {
      return new ByteFile(handle, await sizeOf(handle))
    } catch (error) {
      await closeRead(handle)
      throw error
    }
  }

  /** Opens a file and reads its index. The result of `read` closes the file, which is closed here if `read` throws. */
  static async read<T>(path: string, read: (file: ByteFile) => Promise<T>): Promise<T> {
    const file = await ByteFile.open(path)
    try {
      return await read(file)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Fills `bytes` from byte `begin` of the file. @throws FILE_FORMAT if the file ends before, or cannot be read */
  async fill(bytes: Uint8Array, begin: number): Promise<void> {
    const end = begin + bytes.length
    if (end > this.size) throw tooShort(end, this.size)
    let next = this.#block(bytes, begin, begin)
    for (let at = begin; at < end; at += blockBytes) {
      const block = await next
      // it is read while the block before is hashed
      if (at + blockBytes < end) next = this.#block(bytes, begin, at + blockBytes)
      this.#add(block, at)
    }
  }

  /** The first 1000 bytes, or all, by which a container is recognised. */
  async head(): Promise<Buffer> {
    const head = Buffer.alloc(Math.min(this.size, headBytes))
    await this.fill(head, 0)
    return head
  }

  /** Reads and hashes the bytes before `end` that no read has passed: what lies between two tensors, or one not wanted. */
  async hashTo(end: number): Promise<void> {
    const block = new Uint8Array(Math.min(blockBytes, Math.max(0, end - this.#hashed)))
    while (this.#hashed < end) {
      const length = Math.min(block.length, end - this.#hashed)
      await this.fill(block.subarray(0, length), this.#hashed)
    }
  }

  /** SHA-256 of the whole file in hex, once: bytes that no read has passed are read for it. */
  async digest(): Promise<string> {
    await this.hashTo(this.size)
    return this.#hash.digest('hex')
  }

  close(): Promise<void> {
    return closeRead(this.#handle)
  }

  /** Reads the block from byte `at` of the file on into its part of `bytes`, which begin at byte `begin`. */
  async #block(bytes: Uint8Array, begin: number, at: number): Promise<Uint8Array> {
    const block = bytes.subarray(at - begin, at - begin + blockBytes)
    await fill(this.#handle, block, at)
    return block
  }

  /** Hashes what follows the hashed bytes. */
  #add(block: Uint8Array, begin: number): void {
    const end = begin + block.length
    if (begin > this.#hashed || end <= this.#hashed) return
    this.#hash.update(block.subarray(this.#hashed - begin))
    this.#hashed = end
  }
}

function tooShort(expected: number, size: number): VggError {
  const message = `Expected at least ${expected} bytes, but the file has ${size}; is it truncated? Copy or download it again`
  return new VggError('FILE_FORMAT', message)
}
