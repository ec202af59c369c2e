import { messageOf, VggError } from '../error.js'
import { isObject, shorten } from '../options.js'
import { hasRepeatedKeys, type JsonLimits, parsedJson } from '../untrusted.js'

// The format: 8 bytes length of the header (little endian), the header (JSON), the tensors' bytes without gaps.
// https://github.com/huggingface/safetensors

/** Element types that are read and written; others are refused. */
export type TensorType = 'F32' | 'U8' | 'I32' | 'I64'

export type TensorData = Float32Array | Uint8Array | Int32Array | BigInt64Array

export interface TensorInfo<T extends string = TensorType> {
  readonly name: string
  readonly dtype: T
  readonly shape: readonly number[]
}

/** A tensor and its location: bytes `begin` to below `end` after the header. */
export interface Entry<T extends string = TensorType> extends TensorInfo<T> {
  readonly begin: number
  readonly end: number
}

export interface NamedTensor extends TensorInfo {
  readonly data: TensorData
}

/** Contents of a file, tensors in the order of their bytes. */
export interface Contents<T extends TensorInfo<string>> {
  readonly tensors: readonly T[]
  readonly metadata: Readonly<Record<string, string>>
}

/** The key of the metadata in a header, beside the names of the tensors. */
const metadataName = '__metadata__'

/** Size in bytes of the header's length, with which a file begins. */
export const lengthBytes = 8

/**
 * Limits of a header: 32 MiB are four lists of 65,536 class names of 120 bytes; 2^16 keys are 16,384 tensors. A checkpoint has at
 * most 4,096 tables beside its parameters and velocities. safetensors itself allows 100 MB.
 */
export const headerLimits: JsonLimits = { bytes: 2 ** 25, depth: 3, values: 2 ** 18, keys: 2 ** 16 }

/** Limits of a JSON text in the metadata: a model, or the state of a training, whose epochs are rows without keys. */
export const textLimits: JsonLimits = { bytes: headerLimits.bytes, depth: 16, values: 2 ** 20, keys: 2 ** 16 }

/** Most texts of the metadata; a checkpoint has nine. */
const mostTexts = 2 ** 12

/** Most axes of a shape: as many as a tensor of PyTorch may have. */
const mostAxes = 64

// Larger elements first, so that each tensor is aligned; the order of the keys is the order in a file.
const arrays = { I64: BigInt64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const
const types = Object.keys(arrays) as TensorType[]

/** Size in bytes of an element of each type. */
export type TypeSizes<T extends string> = Readonly<Record<T, number>>

const ownSizes: TypeSizes<TensorType> = { I64: 8, F32: 4, I32: 4, U8: 1 }

const bytesOf = (elementBytes: number, shape: readonly number[]): number =>
  shape.reduce((product, length) => product * length, elementBytes)

const invalid = 'Not a valid safetensors file: '
const malformed = (message: string, cause?: unknown): VggError =>
  new VggError('FILE_FORMAT', `${invalid}${message}`, { cause })

const inOrder = (a: TensorInfo, b: TensorInfo): number =>
  types.indexOf(a.dtype) - types.indexOf(b.dtype) || (a.name < b.name ? -1 : 1)

/**
 * Encodes the header of a file with these tensors, and determines the order of their bytes. Tensors are sorted, so that
 * equal content gives equal bytes regardless of its order.
 */
export function encodeHeader(
  tensors: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array; entries: readonly Entry[] } {
  let end = 0
  const entries = [...tensors].sort(inOrder).map(({ name, dtype, shape }) => {
    const begin = end
    end += bytesOf(ownSizes[dtype], shape)
    return { name, dtype, shape, begin, end }
  })
  const names = [metadataName, ...entries.map(({ name }) => name)]
  if (new Set(names).size !== names.length) {
    throw new VggError('INVALID_ARGUMENT', "Expected tensors of different names, and none called '__metadata__'")
  }
  return { header: headerOf(entries, metadata), entries }
}

/** Encodes the header of a file with these entries: the bytes before those of the tensors. */
export function headerOf(entries: readonly Entry<string>[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const sorted = Object.keys(metadata)
    .sort()
    .map((key) => [key, metadata[key]] as const)
  const fields: [string, unknown][] = sorted.length === 0 ? [] : [[metadataName, jsonObject(sorted)]]
  for (const { name, dtype, shape, begin, end: stop } of entries) {
    fields.push([name, JSON.stringify({ dtype, shape, data_offsets: [begin, stop] })])
  }
  const json = new TextEncoder().encode(`{${fields.map(([key, field]) => `${JSON.stringify(key)}:${field}`).join()}}`)
  // padded with spaces to a multiple of 8
  const header = new Uint8Array(lengthBytes + Math.ceil(json.length / 8) * 8).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - lengthBytes), true)
  header.set(json, lengthBytes)
  return header
}

// by hand, because an object puts keys that look like numbers first
const jsonObject = (fields: readonly (readonly [string, unknown])[]): string =>
  `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`

/** Encodes a file. @throws SHAPE_MISMATCH if a tensor's data does not fit its shape */
export function encode(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const { header, entries } = encodeHeader(tensors, metadata)
  const file = new Uint8Array(header.length + (entries.at(-1)?.end ?? 0))
  file.set(header)
  const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]))
  for (const entry of entries) file.set(tensorBytes(entry, data.get(entry.name)), header.length + entry.begin)
  return file
}

/** The bytes of a tensor's data, without a copy. @throws SHAPE_MISMATCH */
export function tensorBytes(entry: Entry, data: TensorData | undefined): Uint8Array {
  if (data instanceof arrays[entry.dtype] && data.byteLength === entry.end - entry.begin) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  }
  const message = `Expected ${entry.dtype} data of ${entry.end - entry.begin} bytes for ${entry.name}`
  throw new VggError('SHAPE_MISMATCH', `${message} but received ${data?.byteLength ?? 'none'}`)
}

// a copy, aligned
function tensorData(entry: Entry, bytes: Uint8Array): TensorData {
  // not bytes.slice(), which shares memory when bytes is a Buffer
  return new arrays[entry.dtype](new Uint8Array(bytes).buffer)
}

/**
 * The length of the header, from the first 8 bytes of a file.
 * @param fileBytes length of the whole file
 * @throws FILE_FORMAT if it is longer than the limit, or than the file
 */
export function headerLength(start: Uint8Array, fileBytes: number, { bytes: largest } = headerLimits): number {
  if (start.length < lengthBytes) throw malformed(`it has ${fileBytes} bytes, and the shortest has ${lengthBytes + 2}`)
  const length = Number(new DataView(start.buffer, start.byteOffset, lengthBytes).getBigUint64(0, true))
  if (length > largest) throw malformed(`a header of ${length} bytes; at most ${largest} are allowed`)
  if (length > fileBytes - lengthBytes) {
    throw malformed(
      `a header of ${length} bytes in a file of ${fileBytes} bytes; is it truncated? Copy or download it again`,
    )
  }
  return length
}

function end(text: string, quote: number): number {
  let at = quote + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

// JSON.parse accepts duplicate keys silently; `text` is valid JSON
function checkKeys(text: string): void {
  const objects: Set<string>[] = []
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{') objects.push(new Set())
    else if (character === '}') objects.pop()
    if (character !== '"') continue
    const start = at
    at = end(text, at)
    let next = at + 1
    while (text[next] === ' ' || text[next] === '\t' || text[next] === '\n' || text[next] === '\r') next++
    if (text[next] !== ':') continue
    const written = text.slice(start + 1, at)
    const key: string = written.includes('\\') ? JSON.parse(`"${written}"`) : written
    if (objects.at(-1)?.has(key)) throw malformed(`'${shorten(key)}' occurs twice in the header`)
    objects.at(-1)?.add(key)
  }
}

/** A header as it was parsed: its metadata, and an entry for each tensor, all unchecked. */
export type HeaderFields = Readonly<Record<string, unknown>>

/** Parses the JSON of a header, without its length. @throws FILE_FORMAT */
export function headerFields(json: Uint8Array, limits = headerLimits): HeaderFields {
  if (json[0] !== '{'.charCodeAt(0)) throw malformed("the header is not JSON: it does not begin with '{'")
  try {
    const value = parsedJson(json, limits, 'the header')
    // the name of a repeated key takes ten times as long to find
    if (hasRepeatedKeys(json, value)) checkKeys(Buffer.from(json.buffer, json.byteOffset, json.length).toString())
    return value as HeaderFields
  } catch (cause) {
    if (cause instanceof VggError && cause.message.startsWith(invalid)) throw cause
    throw malformed(messageOf(cause), cause)
  }
}

const quoted = (name: string): string => `'${shorten(name)}'`

function parsedMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {}
  if (!isObject(value)) throw malformed('__metadata__ is not an object')
  const keys = Object.keys(value)
  if (keys.length > mostTexts) throw malformed(`__metadata__ has ${keys.length} texts; at most ${mostTexts} are read`)
  const wrong = keys.find((key) => typeof value[key] !== 'string')
  if (wrong !== undefined) throw malformed(`the metadata ${quoted(wrong)} is not a string`)
  return value as Record<string, string>
}

/** The metadata of a header, whatever its tensors are. @throws FILE_FORMAT */
export const metadataOf = ({ __metadata__ }: HeaderFields): Record<string, string> => parsedMetadata(__metadata__)

const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= mostAxes && value.every(isLength)

function parsedEntry<T extends string>(key: string, value: unknown, sizes: TypeSizes<T>): Entry<T> {
  const name = quoted(key)
  if (!isObject(value)) throw malformed(`the entry of ${name} is not an object`)
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(sizes, dtype)) {
    const found = shorten(JSON.stringify(dtype) ?? 'undefined')
    throw malformed(`${name} has the type ${found}; known are ${Object.keys(sizes).join(', ')}`)
  }
  if (!isShape(shape)) throw malformed(`the shape of ${name} is not a list of at most ${mostAxes} lengths`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isLength)) {
    throw malformed(`the data_offsets of ${name} are not two lengths`)
  }
  const other = Object.keys(value).find((field) => !entryFields.has(field))
  if (other !== undefined) throw malformed(`the entry of ${name} has an unknown field ${quoted(other)}`)
  const [begin = 0, end = 0]: readonly number[] = offsets
  const bytes = bytesOf(sizes[dtype as T], shape)
  if (end - begin !== bytes) {
    const message = `${name} of type ${dtype} and shape [${shape}] takes ${bytes} bytes`
    throw malformed(`${message}, but its data_offsets are ${begin} and ${end}`)
  }
  return { name: key, dtype: dtype as T, shape, begin, end }
}

const entryFields: ReadonlySet<string> = new Set(['dtype', 'shape', 'data_offsets'])

/**
 * Parses a header. Its entries, in the order of their bytes, must fill the data without gaps or overlaps.
 * @param header result of `headerFields`
 * @param dataBytes number of bytes after the header
 * @param sizes the types allowed. Default: those that this package writes
 * @throws FILE_FORMAT
 */
export function parseHeader(header: HeaderFields, dataBytes: number): Contents<Entry>
export function parseHeader<T extends string>(
  header: HeaderFields,
  dataBytes: number,
  sizes: TypeSizes<T>,
): Contents<Entry<T>>
export function parseHeader(
  header: HeaderFields,
  dataBytes: number,
  sizes: TypeSizes<string> = ownSizes,
): Contents<Entry<string>> {
  const metadata = metadataOf(header)
  const names = Object.keys(header).filter((name) => name !== metadataName)
  const tensors = names.map((name) => parsedEntry(name, header[name], sizes))
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let expected = 0
  for (const { name, begin, end: stop } of tensors) {
    if (begin !== expected) throw malformed(`${quoted(name)} begins at byte ${begin} of the data, not at ${expected}`)
    expected = stop
  }
  if (expected === dataBytes) return { tensors, metadata }
  const hint = expected > dataBytes ? '; is it truncated? Copy or download it again' : ''
  throw malformed(`its tensors take ${expected} bytes, and ${dataBytes} follow the header${hint}`)
}

/** Decodes a file; the tensors are copies. @throws FILE_FORMAT with the reason */
export function decode(file: Uint8Array): Contents<NamedTensor> {
  const start = lengthBytes + headerLength(file.subarray(0, lengthBytes), file.length)
  const { tensors, metadata } = parseHeader(headerFields(file.subarray(lengthBytes, start)), file.length - start)
  const filled = tensors.map(
    (entry): NamedTensor => ({
      name: entry.name,
      dtype: entry.dtype,
      shape: entry.shape,
      data: tensorData(entry, file.subarray(start + entry.begin, start + entry.end)),
    }),
  )
  return { tensors: filled, metadata }
}
