import { VggError } from '../../error.js'
import type { ByteFile } from './byte-file.js'

// The wire format: https://protobuf.dev/programming-guides/encoding/. A library decodes a message in memory. Here a message is a
// file of half a gigabyte, of which a few hundred bytes between the numbers are needed.

/** A field of a message: where its value lies in the file. */
export interface Field {
  readonly number: number
  readonly type: 'varint' | 'bytes' | 'fixed32' | 'fixed64'
  /** Position in the file of the value, from its first byte to below its end. */
  readonly begin: number
  readonly end: number
  /** The value of a varint; 0 for other types. */
  readonly value: number
}

/** A field, and how many of its number and of 4 or 8 bytes follow each other: a list that is not packed. */
export interface FieldRun extends Field {
  /** Number of values, `stride` bytes apart. */
  readonly count: number
  readonly stride: number
}

const types: Readonly<Record<number, Field['type']>> = { 0: 'varint', 1: 'fixed64', 2: 'bytes', 5: 'fixed32' }
const fixedBytes: Readonly<Partial<Record<Field['type'], number>>> = { fixed32: 4, fixed64: 8 }

const windowBytes = 4096
/** Longest varint in bytes. A tag and a length, the most that is before a value, are two of them. */
const longestVarint = 10
/** Most fields of a file, runs counted as one. A network of a hundred layers has some thousand. */
const mostFields = 2 ** 16

const malformed = (message: string): VggError => new VggError('FILE_FORMAT', `Not a valid protocol buffer: ${message}`)

/** Reads the fields of messages in a file, without the values. */
export class MessageReader {
  readonly #file: ByteFile
  #window: Uint8Array = new Uint8Array()
  /** Position of the window in the file. */
  #start = 0
  #fields = 0

  constructor(file: ByteFile) {
    this.#file = file
  }

  /** The fields of the message in a field, or of the whole file. @throws FILE_FORMAT */
  async *fields(message?: Field): AsyncGenerator<FieldRun> {
    if (message !== undefined) checkBytes(message)
    const { begin, end } = message ?? { begin: 0, end: this.#file.size }
    for (let at = begin; at < end; ) {
      if (!this.#holds(at, end)) await this.#load(at)
      const field = fieldAt(this.#window, at - this.#start, this.#start)
      if (field.end > end) throw tooLong(field, at, end)
      const stride = field.end - at
      const count = fixedBytes[field.type] === undefined ? 1 : await this.#countOfRun(at, field, end)
      at += count * stride
      this.#fields += 1
      if (this.#fields > mostFields) throw malformed(`it has more than ${mostFields} fields`)
      yield { ...field, count, stride }
    }
  }

  /** The bytes of a field. @throws FILE_FORMAT if they are more than `most` */
  async bytes(field: Field, most: number): Promise<Uint8Array> {
    checkBytes(field)
    const { number, begin, end } = field
    if (end - begin > most)
      throw malformed(`field ${number} at byte ${begin} has ${end - begin} bytes; at most ${most} are allowed`)
    const bytes = new Uint8Array(end - begin)
    await this.#file.fill(bytes, begin)
    return bytes
  }

  /** Whether all that may be before a value at a position is in the window, or all to the end. */
  #holds(at: number, end: number): boolean {
    return at >= this.#start && Math.min(at + 2 * longestVarint, end) <= this.#start + this.#window.length
  }

  async #load(at: number): Promise<void> {
    this.#window = new Uint8Array(Math.min(windowBytes, this.#file.size - at))
    this.#start = at
    await this.#file.fill(this.#window, at)
  }

  /** Number of fields with the tag of `first`, which begins at `at`, up to another one. */
  async #countOfRun(at: number, first: Field, end: number): Promise<number> {
    const tag = this.#window.slice(at - this.#start, first.begin - this.#start)
    const stride = first.end - at
    let next = first.end
    while (next + stride <= end) {
      if (!this.#holds(next, end)) await this.#load(next)
      const index = next - this.#start
      if (tag.some((byte, offset) => this.#window[index + offset] !== byte)) break
      next += stride
    }
    return (next - at) / stride
  }
}

function checkBytes({ number, type, begin }: Field): void {
  if (type !== 'bytes')
    throw malformed(`field ${number} at byte ${begin} is a ${type} where a message or text is expected`)
}

const tooLong = ({ number, end: own }: Field, at: number, end: number): VggError =>
  malformed(`field ${number} at byte ${at} ends at byte ${own}, but its message at ${end}; is the file truncated?`)

/**
 * The field that begins at an index of bytes; its value may end after them.
 * @param start position of the bytes in the file
 * @throws FILE_FORMAT if no field begins there
 */
export function fieldAt(bytes: Uint8Array, index: number, start = 0): Field {
  const tag = varintAt(bytes, index)
  const [number, type] = [Math.floor(tag.value / 8), types[tag.value % 8]]
  if (type === undefined || number === 0 || number >= 2 ** 29)
    throw malformed(`no field begins at byte ${start + index}`)
  const begin = start + index + tag.length
  const fixed = fixedBytes[type]
  if (fixed !== undefined) return { number, type, begin, end: begin + fixed, value: 0 }
  const { value, length } = varintAt(bytes, index + tag.length)
  if (type === 'varint') return { number, type, begin, end: begin + length, value }
  return { number, type, begin: begin + length, end: begin + length + value, value: 0 }
}

/** The integers of a packed list. @throws FILE_FORMAT */
export function varintsOf(bytes: Uint8Array): number[] {
  const values: number[] = []
  for (let index = 0; index < bytes.length; ) {
    const { value, length } = varintAt(bytes, index)
    values.push(value)
    index += length
  }
  return values
}

/** The varint at an index; above 2^53 it is rounded. */
function varintAt(bytes: Uint8Array, index: number): { value: number; length: number } {
  let value = 0
  for (let length = 1; length <= longestVarint; length++) {
    const byte = bytes[index + length - 1]
    if (byte === undefined) throw malformed('it ends inside a number; is the file truncated?')
    value += (byte % 128) * 128 ** (length - 1)
    if (byte < 128) return { value, length }
  }
  throw malformed(`a number of more than ${longestVarint} bytes`)
}
