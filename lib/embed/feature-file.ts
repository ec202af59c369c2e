// A file of features is a safetensors file: `features` F32 [N, D], or [N, S, D] where S scales are stacked; `labels` I64 [N],
// -1 for an image without one; `files`, the names of the images as one text in UTF-8, U8; `file_offsets` I64 [N + 1], where each
// name begins in it. The names are no metadata, whose size is limited.
import type { FileHandle } from 'node:fs/promises'
import { fill } from '../checkpoint/open-file.js'
import { encodeHeader, headerLimits, lengthBytes } from '../checkpoint/safetensors.js'
import { fileError } from '../data/sources/file-error.js'
import { VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { closeRead, openRegularFile } from '../files/regular-file.js'
import { filePath, instanceOf, integer } from '../options.js'
import { descriptionKey, type FeatureDescription } from './feature-description.js'
import { type FeatureHeader, infosOf, readFeatureHeader, type TensorName } from './feature-header.js'

/** Most bytes of the name of an image: the longest path of a system has 4,096. */
const longestName = 2 ** 16

/** Bytes of a block of rows, unless a row is longer. */
const blockBytes = 2 ** 22

/** Number of labels and names that are encoded at once. */
const atOnce = 2 ** 14

/** The features of all images, as a file holds them. */
export interface FeatureRows {
  readonly description: FeatureDescription
  /** Class of each image; -1 where it is not known. */
  readonly labels: Int32Array
  /** Name of each image, such as its path. */
  readonly names: readonly string[]
  /** The features in blocks of whole rows, S x D values each, in the order of the names. */
  readonly rows: Iterable<Float32Array> | AsyncIterable<Float32Array>
}

/** The bytes of 64-bit integers, in parts. */
function* integerParts(count: number, valueAt: (index: number) => number): Generator<Uint8Array> {
  for (let start = 0; start < count; start += atOnce) {
    const length = Math.min(atOnce, count - start)
    const values = BigInt64Array.from({ length }, (_, index) => BigInt(valueAt(start + index)))
    yield new Uint8Array(values.buffer)
  }
}

function* nameParts(names: readonly string[]): Generator<Uint8Array> {
  for (let start = 0; start < names.length; start += atOnce)
    yield Buffer.from(names.slice(start, start + atOnce).join(''))
}

async function* rowParts(rows: FeatureRows['rows']): AsyncGenerator<Uint8Array> {
  for await (const { buffer, byteOffset, byteLength } of rows) yield new Uint8Array(buffer, byteOffset, byteLength)
}

/**
 * Writes a file of features atomically. Equal features give equal bytes.
 * @throws FILE_WRITE; errors of `rows`
 */
export async function writeFeatures(file: string, { description, labels, names, rows }: FeatureRows): Promise<void> {
  const offsets = new Float64Array(names.length + 1)
  for (const [index, name] of names.entries()) {
    // a lone surrogate takes the three bytes of U+FFFD in both
    offsets[index + 1] = (offsets[index] ?? 0) + Buffer.byteLength(name)
  }
  const infos = infosOf(description, names.length, offsets.at(-1) ?? 0)
  const { header, entries } = encodeHeader(infos, { [descriptionKey]: JSON.stringify(description) })
  if (header.length - lengthBytes > headerLimits.bytes) {
    const message = `Expected a header of at most ${headerLimits.bytes} bytes but it takes ${header.length - lengthBytes}: use fewer or shorter names of classes`
    throw new VggError('FILE_WRITE', message)
  }
  const partsOf: Readonly<Record<string, () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>>> = {
    features: () => rowParts(rows),
    labels: () => integerParts(labels.length, (index) => labels[index] ?? -1),
    file_offsets: () => integerParts(offsets.length, (index) => offsets[index] ?? 0),
    files: () => nameParts(names),
  }
  async function* parts(): AsyncGenerator<Uint8Array> {
    yield header
    for (const { name, begin, end } of entries) {
      let left = end - begin
      for await (const part of partsOf[name]?.() ?? []) {
        left -= part.length
        yield part
      }
      if (left !== 0) throw new VggError('SHAPE_MISMATCH', `Expected ${left} more bytes of ${name}`)
    }
  }
  await writeAtomically(file, parts())
}

/** Consecutive rows of a file of features. */
export interface FeatureBlock {
  /** Index of the first row. */
  readonly first: number
  /** The values of the rows, one after the other. */
  readonly rows: Float32Array
}

/**
 * An open file of features. Its header was read and checked; the rest is read on request, so that a file of any size takes
 * little memory. `close` closes it.
 */
export class FeatureFile {
  /** Path of the file. */
  readonly path: string
  /** How the features were computed, and what their columns are. */
  readonly description: FeatureDescription
  /** Number N of images. */
  readonly count: number
  /** Values of an image: D, or S x D where scales are stacked. */
  readonly rowLength: number
  readonly #handle: FileHandle
  /** Position of each tensor in the file. */
  readonly #starts: Readonly<Record<TensorName, number>>
  readonly #nameBytes: number

  private constructor(path: string, handle: FileHandle, header: FeatureHeader) {
    this.path = path
    this.#handle = handle
    this.description = header.description
    this.count = header.count
    this.rowLength = header.rowLength
    this.#starts = header.starts
    this.#nameBytes = header.nameBytes
  }

  /** Opens a file that `vggnet embed` or `embedToFile` wrote. @throws FILE_NOT_FOUND, FILE_FORMAT */
  static async open(file: string): Promise<FeatureFile> {
    const handle = await openRegularFile(filePath(file, 'file')).catch((error) => {
      throw fileError(error, file)
    })
    try {
      return new FeatureFile(file, handle, await readFeatureHeader(handle))
    } catch (error) {
      await closeRead(handle)
      throw inFile(file, error)
    }
  }

  /**
   * Reads the rows of images from `first` on, as many as `into` holds.
   * @param into values of whole rows
   * @returns `into`
   * @throws FILE_FORMAT if the file cannot be read, or a value is not finite; INVALID_ARGUMENT for rows that it does not have
   */
  async readRows(first: number, into: Float32Array): Promise<Float32Array> {
    this.#checkRows(first, instanceOf(Float32Array)(into, 'into').length / this.rowLength)
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength)
    await this.#read('features', bytes, first * this.rowLength * into.BYTES_PER_ELEMENT)
    // a sum, since a search with a function takes as long as reading does
    let sum = 0
    for (let index = 0; index < into.length; index++) sum += 0 * (into[index] as number)
    if (sum === 0) return into
    const wrong = into.findIndex((value) => !Number.isFinite(value))
    const row = first + Math.floor(wrong / this.rowLength)
    throw new VggError('FILE_FORMAT', `${this.path}: expected finite features but row ${row} has ${into[wrong]}`)
  }

  /**
   * Reads all rows, a block of whole rows after the other. A block is valid until the next one is taken.
   * @param bytes least size of a block, unless fewer rows are left
   */
  async *blocks(bytes = blockBytes): AsyncGenerator<FeatureBlock> {
    const each = Math.max(1, Math.ceil(bytes / (4 * this.rowLength)))
    const buffer = new Float32Array(Math.min(each, this.count) * this.rowLength)
    for (let first = 0; first < this.count; first += each) {
      const rows = buffer.subarray(0, (this.count - first) * this.rowLength)
      yield { first, rows: await this.readRows(first, rows) }
    }
  }

  /** Reads the classes of images; -1 where none is known. @throws FILE_FORMAT, INVALID_ARGUMENT */
  async readLabels(first: number, count: number): Promise<Int32Array> {
    this.#checkRows(first, count)
    const { classNames } = this.description
    return Int32Array.from(await this.#integers('labels', first, count), (value, index) => {
      if (value >= -1n && value < classNames.length) return Number(value)
      const message = `${this.path}: expected a label from -1 to ${classNames.length - 1} for row ${first + index} but found ${value}`
      throw new VggError('FILE_FORMAT', message)
    })
  }

  /** Reads the names of images. @throws FILE_FORMAT, INVALID_ARGUMENT */
  async readNames(first: number, count: number): Promise<string[]> {
    this.#checkRows(first, count)
    const offsets = Array.from(await this.#integers('file_offsets', first, count + 1), Number)
    for (const [index, begin] of offsets.slice(0, -1).entries()) {
      const end = offsets[index + 1] ?? 0
      if (begin >= 0 && end >= begin && end <= this.#nameBytes && end - begin <= longestName) continue
      const message = `${this.path}: the name of row ${first + index} is at bytes ${begin} to ${end} of ${this.#nameBytes}`
      throw new VggError('FILE_FORMAT', message)
    }
    const [start = 0] = offsets
    const bytes = Buffer.alloc((offsets.at(-1) ?? 0) - start)
    await this.#read('files', bytes, start)
    return offsets
      .slice(0, -1)
      .map((begin, index) => bytes.toString('utf8', begin - start, (offsets[index + 1] ?? 0) - start))
  }

  /** Closes the file. */
  close(): Promise<void> {
    return closeRead(this.#handle)
  }

  #checkRows(first: number, count: number): void {
    integer(0, this.count)(first, 'first')
    integer(0, this.count - first)(count, 'the number of rows')
  }

  async #integers(name: 'labels' | 'file_offsets', first: number, count: number): Promise<BigInt64Array> {
    const values = new BigInt64Array(count)
    await this.#read(name, new Uint8Array(values.buffer), first * values.BYTES_PER_ELEMENT)
    return values
  }

  async #read(name: TensorName, into: Uint8Array, begin: number): Promise<void> {
    await fill(this.#handle, into, this.#starts[name] + begin).catch((error) => {
      throw inFile(this.path, error)
    })
  }
}

const inFile = (file: string, error: unknown): unknown =>
  error instanceof VggError ? new VggError(error.code, `${file}: ${error.message}`, { cause: error }) : error
