import type { ByteFile } from './byte-file.js'
import { malformed, PickleEnd, type PickleRules, readPickle } from './pickle.js'

/** Bytes that are read at first; those of the pickles of VGG-16 are fewer. */
const firstBytes = 2 ** 14
/** Most bytes of one pickle, which is read as a whole. */
const mostBytes = 2 ** 24

/** Pickles in a part of a file, one after another or between other bytes. */
export class PickleStream {
  readonly #file: ByteFile
  readonly #end: number
  #bytes = new Uint8Array(0)
  /** Byte of the file at which `#bytes` begin. */
  #begin: number
  /** Byte of the file from which on the next value is read. */
  #at: number

  /** @param begin first byte of the part @param end the byte after its last */
  constructor(file: ByteFile, begin: number, end: number) {
    this.#file = file
    this.#begin = begin
    this.#at = begin
    this.#end = end
  }

  get at(): number {
    return this.#at
  }

  /** The next pickle. @throws FILE_FORMAT */
  async pickle(rules: PickleRules): Promise<unknown> {
    for (;;) {
      try {
        const { value, end } = readPickle(this.#bytes, this.#at - this.#begin, rules)
        this.#at = this.#begin + end
        return value
      } catch (error) {
        // its length is not known before it is read
        if (!(error instanceof PickleEnd) || this.#begin + this.#bytes.length === this.#end) throw error
        await this.#extend()
      }
    }
  }

  /** The next bytes. @throws FILE_FORMAT if there are fewer */
  async raw(length: number): Promise<Buffer> {
    const begin = this.#at
    this.skip(length)
    const bytes = Buffer.alloc(length)
    await this.#file.fill(bytes, begin)
    return bytes
  }

  /** The next lengths, of 8 bytes each. @throws FILE_FORMAT */
  async lengths(count: number): Promise<number[]> {
    const bytes = await this.raw(8 * count)
    return Array.from({ length: count }, (_, index) => {
      const value = Number(bytes.readBigInt64LE(8 * index))
      if (value >= 0 && Number.isSafeInteger(value)) return value
      throw malformed(`it has a length of ${value}`)
    })
  }

  /** Passes over bytes. @throws FILE_FORMAT if there are fewer */
  skip(length: number): void {
    if (length > this.#end - this.#at) throw new PickleEnd()
    this.#at += length
  }

  async #extend(): Promise<void> {
    const passed = this.#at - this.#begin
    const rest = this.#bytes.length - passed
    const kept = rest > 0 ? this.#bytes.subarray(passed) : new Uint8Array(0)
    const length = Math.min(Math.max(firstBytes, 4 * kept.length), this.#end - this.#at)
    if (length > mostBytes) throw malformed(`one of its pickles has more than ${mostBytes / 4} bytes`)
    const bytes = new Uint8Array(length)
    bytes.set(kept)
    await this.#file.fill(bytes.subarray(kept.length), this.#at + kept.length)
    this.#bytes = bytes
    this.#begin = this.#at
  }
}
