import { closeSync, fdatasync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { VggError } from '../error.js'
import { filePath } from '../options.js'
import { syncFolder, writeError } from './atomic-file.js'

/**
 * A file that is only appended to. When `append` returns, the system has the bytes, so they survive a killed process. `sync` limits
 * what a power failure can lose.
 */
export class AppendFile {
  readonly path: string
  #descriptor: number | undefined
  /** Whether the folder has yet to be synced, without which a power failure may remove the file. */
  #isNew: boolean

  /**
   * @param mode 'new' if the file must not exist yet, 'existing' to append to it
   * @throws VggError FILE_WRITE
   */
  constructor(file: string, mode: 'new' | 'existing') {
    this.path = filePath(file, 'path')
    this.#isNew = mode === 'new'
    // x: an existing log must not be overwritten
    this.#descriptor = this.#tried(() => openSync(file, mode === 'new' ? 'ax' : 'a'))
  }

  /** Appends all of `bytes` or nothing. @throws VggError FILE_WRITE, STATE */
  append(bytes: Uint8Array): void {
    const descriptor = this.#open()
    this.#tried(() => {
      const before = fstatSync(descriptor).size
      let done = 0
      try {
        while (done < bytes.length) done += writeSync(descriptor, bytes, done)
      } catch (error) {
        // otherwise half a line would precede the next line
        if (done > 0) ftruncateSync(descriptor, before)
        throw error
      }
    })
  }

  /** Waits until the appended bytes are on the disk, and the file in its folder. @throws VggError FILE_WRITE, STATE */
  async sync(): Promise<void> {
    try {
      await promisify(fdatasync)(this.#open())
      if (this.#isNew) await syncFolder(path.dirname(this.path))
      this.#isNew = false
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Closes the file. Does nothing if it is closed already. @throws VggError FILE_WRITE if bytes may be lost */
  close(): void {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor !== undefined) this.#tried(() => closeSync(descriptor))
  }

  #open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor
    throw new VggError('STATE', `${this.path} was closed, so nothing can be appended to it`)
  }

  #tried<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(cause: unknown): VggError {
    return cause instanceof VggError ? cause : writeError(this.path, cause)
  }
}
