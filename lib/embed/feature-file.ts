// A file of features is a safetensors file: `features` F32 [N, D], or [N, S, D] where S scales are stacked; `labels` I64 [N],
// -1 for an image without one; `files`, the names of the images as one text in UTF-8, U8; `file_offsets` I64 [N + 1], where each
// name begins in it. The names are no metadata, whose size is limited.
import type { FileHandle } from 'node:fs/promises'
import { fill, sizeOf } from '../checkpoint/open-file.js'
import {
  type Entry,
  encodeHeader,
  headerFields,
  headerLength,
  headerLimits,
  lengthBytes,
  metadataOf,
  parseHeader,
  type TensorInfo,
} from '../checkpoint/safetensors.js'
import { contentText, headBytes } from '../data/images/formats.js'
import { fileError } from '../data/sources/file-error.js'
import { VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { closeRead, filled, openRegularFile } from '../files/regular-file.js'
import { filePath } from '../options.js'
import { shapeText } from '../tensor.js'
import {
  descriptionKey,
  dimensionOf,
  type FeatureDescription,
  parsedDescription,
  stackedScales,
} from './feature-description.js'

/** Most values of the features of one image: all tensors of VGG-19, pooled twice, at 500 scales. */
const mostValues = 2 ** 24

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

function infosOf(description: FeatureDescription, count: number, nameBytes: number): TensorInfo[] {
  const scales = stackedScales(description)
  const row = [...(scales === undefined ? [] : [scales]), dimensionOf(description)]
  return [
    { name: 'features', dtype: 'F32', shape: [count, ...row] },
    { name: 'labels', dtype: 'I64', shape: [count] },
    { name: 'file_offsets', dtype: 'I64', shape: [count + 1] },
    { name: 'files', dtype: 'U8', shape: [nameBytes] },
  ]
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

type TensorName = 'features' | 'labels' | 'file_offsets' | 'files'

/**
 * An open file of features. Its header was read and checked; the rest is read on request, so that a file of any size takes
 * little memory. `close` closes it.
 */
export class FeatureFile {
  readonly path: string
  readonly description: FeatureDescription
  /** Number N of images. */
  readonly count: number
  /** Values of an image: D, or S x D where scales are stacked. */
  readonly rowLength: number
  readonly #handle: FileHandle
  /** Position of each tensor in the file. */
  readonly #starts: Readonly<Record<TensorName, number>>
  readonly #nameBytes: number

  private constructor(path: string, handle: FileHandle, header: Header) {
    this.path = path
    this.#handle = handle
    this.description = header.description
    this.count = header.count
    this.rowLength = header.rowLength
    this.#starts = header.starts
    this.#nameBytes = header.nameBytes
  }

  /** Opens a file that `vggnet embed` or `writeFeatures` wrote. @throws FILE_NOT_FOUND, FILE_FORMAT */
  static async open(file: string): Promise<FeatureFile> {
    const handle = await openRegularFile(filePath(file, 'file')).catch((error) => {
      throw fileError(error, file)
    })
    try {
      return new FeatureFile(file, handle, await readHeader(handle))
    } catch (error) {
      await closeRead(handle)
      throw inFile(file, error)
    }
  }

  /**
   * Reads the rows of images from `first` on, as many as `into` holds.
   * @returns `into`
   * @throws FILE_FORMAT if the file cannot be read, or a value is not finite
   */
  async readRows(first: number, into: Float32Array): Promise<Float32Array> {
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
  async *blocks(bytes = blockBytes): AsyncGenerator<{ readonly first: number; readonly rows: Float32Array }> {
    const each = Math.max(1, Math.ceil(bytes / (4 * this.rowLength)))
    const buffer = new Float32Array(Math.min(each, this.count) * this.rowLength)
    for (let first = 0; first < this.count; first += each) {
      const rows = buffer.subarray(0, (this.count - first) * this.rowLength)
      yield { first, rows: await this.readRows(first, rows) }
    }
  }

  /** Reads the classes of images; -1 where none is known. @throws FILE_FORMAT */
  async readLabels(first: number, count: number): Promise<Int32Array> {
    const { classNames } = this.description
    return Int32Array.from(await this.#integers('labels', first, count), (value, index) => {
      if (value >= -1n && value < classNames.length) return Number(value)
      const message = `${this.path}: expected a label from -1 to ${classNames.length - 1} for row ${first + index} but found ${value}`
      throw new VggError('FILE_FORMAT', message)
    })
  }

  /** Reads the names of images. @throws FILE_FORMAT */
  async readNames(first: number, count: number): Promise<string[]> {
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

  close(): Promise<void> {
    return closeRead(this.#handle)
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

interface Header extends Pick<FeatureFile, 'description' | 'count' | 'rowLength'> {
  readonly starts: Readonly<Record<TensorName, number>>
  readonly nameBytes: number
}

async function readHeader(handle: FileHandle): Promise<Header> {
  const size = await sizeOf(handle)
  const beginning = Buffer.alloc(Math.min(size, headBytes))
  await filled(handle, beginning)
  if (beginning[lengthBytes] !== '{'.charCodeAt(0)) {
    const content = contentText(beginning) ?? 'of another kind'
    throw new VggError('FILE_FORMAT', `Expected features (safetensors) but it is ${content}`)
  }
  const json = new Uint8Array(headerLength(beginning.subarray(0, lengthBytes), size))
  await fill(handle, json, lengthBytes)
  const fields = headerFields(json)
  // before the tensors, which those of another file may be of other types
  const description = parsedDescription(metadataOf(fields)[descriptionKey])
  const start = lengthBytes + json.length
  const { tensors } = parseHeader(fields, size - start)
  const found = new Map(tensors.map((entry) => [entry.name, entry]))
  const [count = 0] = found.get('features')?.shape ?? []
  const nameBytes = found.get('files')?.shape[0] ?? 0
  const starts = checkedTensors(found, infosOf(description, count, nameBytes), start)
  const rowLength = (stackedScales(description) ?? 1) * dimensionOf(description)
  if (rowLength < 1 || rowLength > mostValues) {
    const message = `Expected 1 to ${mostValues} features of an image but its description has ${rowLength}`
    throw new VggError('FILE_FORMAT', message)
  }
  return { description, count, rowLength, starts, nameBytes }
}

/** @returns the position of each tensor in the file */
function checkedTensors(
  found: Map<string, Entry>,
  infos: readonly TensorInfo[],
  start: number,
): Record<TensorName, number> {
  for (const { name, dtype, shape } of infos) {
    const entry = found.get(name)
    if (entry?.dtype === dtype && shapeText(entry.shape) === shapeText(shape)) continue
    const what = entry === undefined ? 'found none' : `found ${entry.dtype} ${shapeText(entry.shape)}`
    throw new VggError('FILE_FORMAT', `Expected ${name} as ${dtype} ${shapeText(shape)} but ${what}`)
  }
  return Object.fromEntries(infos.map(({ name }) => [name, start + (found.get(name)?.begin ?? 0)])) as never
}
