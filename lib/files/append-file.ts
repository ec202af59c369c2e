import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { messageOf, VggError } from '../error.js'
import { filePath } from '../options.js'

/**
 * A file that only grows. The kernel has the bytes when `append` returns, so that a killed process loses nothing; a power cut
 * loses at most the bytes appended after the last `sync`.
 */
export class AppendFile {
  readonly path: string
  #descriptor: number | undefined

  /**
   * @param mode 'new' where there must be no such file yet, 'existing' to append to it
   * @throws VggError FILE_WRITE
   */
  constructor(path: string, mode: 'new' | 'existing') {
    this.path = filePath(path, 'path')
    // wx, not w: a log that is there is somebody's
    this.#descriptor = this.#tried(() => openSync(path, mode === 'new' ? 'ax' : 'a'))
  }

  /** Writes all of `bytes` or nothing. @throws VggError FILE_WRITE, STATE */
  append(bytes: Uint8Array): void {
    const descriptor = this.#open()
    this.#tried(() => {
      const before = fstatSync(descriptor).size
      let done = 0
      try {
        while (done < bytes.length) done += writeSync(descriptor, bytes, done)
      } catch (error) {
        // half a line would be glued to the next one
        if (done > 0) ftruncateSync(descriptor, before)
        throw error
      }
    })
  }

  /** Waits until what was appended is on the disk. @throws VggError FILE_WRITE, STATE */
  async sync(): Promise<void> {
    try {
      await promisify(fdatasync)(this.#open())
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Closes the file; again does nothing. */
  close(): void {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor !== undefined) closeSync(descriptor)
  }

  #open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor
    throw new VggError('STATE', `${this.path} was closed before this was written to it`)
  }

  #tried<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(cause: unknown): VggError {
    if (cause instanceof VggError) return cause
    const reason = messageOf(cause)
    return new VggError('FILE_WRITE', `Could not write ${this.path}: ${reason}`, { cause })
  }
}
