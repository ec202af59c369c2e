import { messageOf, VggError } from '../error.js'
import { isObject } from '../options.js'

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

/** Size in bytes of the header's length, with which a file begins. */
export const lengthBytes = 8
const largestHeaderBytes = 100_000_000

// Larger elements first, so that each tensor is aligned; the order of the keys is the order in a file.
const arrays = { I64: BigInt64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const
const types = Object.keys(arrays) as TensorType[]

/** Size in bytes of an element of each type. */
export type TypeSizes<T extends string> = Readonly<Record<T, number>>

const ownSizes: TypeSizes<TensorType> = { I64: 8, F32: 4, I32: 4, U8: 1 }

const bytesOf = (elementBytes: number, shape: readonly number[]): number =>
  shape.reduce((product, length) => product * length, elementBytes)

const malformed = (message: string, cause?: unknown): VggError =>
  new VggError('FILE_FORMAT', `Not a valid safetensors file: ${message}`, { cause })

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
  const names = ['__metadata__', ...entries.map(({ name }) => name)]
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
  const fields: [string, unknown][] = sorted.length === 0 ? [] : [['__metadata__', jsonObject(sorted)]]
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
 */
export function headerLength(start: Uint8Array, fileBytes: number): number {
  if (start.length < lengthBytes) throw malformed(`it has ${fileBytes} bytes, and the shortest has ${lengthBytes + 2}`)
  const length = Number(new DataView(start.buffer, start.byteOffset, lengthBytes).getBigUint64(0, true))
  if (length > largestHeaderBytes)
    throw malformed(`a header of ${length} bytes; at most ${largestHeaderBytes} are allowed`)
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
    if (text[at] === '{') objects.push(new Set())
    if (text[at] === '}') objects.pop()
    if (text[at] !== '"') continue
    const start = at
    at = end(text, at)
    let next = at + 1
    while (text[next] === ' ' || text[next] === '\t' || text[next] === '\n' || text[next] === '\r') next++
    if (text[next] !== ':') continue
    const key: string = JSON.parse(text.slice(start, at + 1))
    if (objects.at(-1)?.has(key)) throw malformed(`'${key}' occurs twice in the header`)
    objects.at(-1)?.add(key)
  }
}

function parsedJson(json: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
    if (text[0] !== '{') throw new Error("it does not begin with '{'")
    const value: unknown = JSON.parse(text)
    checkKeys(text)
    if (isObject(value)) return value
    throw new Error('it is not an object')
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    throw malformed(`the header is not JSON: ${messageOf(cause)}`, cause)
  }
}

function parsedMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {}
  if (!isObject(value)) throw malformed('__metadata__ is not an object')
  const wrong = Object.keys(value).find((key) => typeof value[key] !== 'string')
  if (wrong !== undefined) throw malformed(`the metadata '${wrong}' is not a string`)
  return value as Record<string, string>
}

/** The metadata of a header, whatever its tensors are. @throws FILE_FORMAT */
export const metadataOf = (json: Uint8Array): Record<string, string> => parsedMetadata(parsedJson(json).__metadata__)

const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function parsedEntry<T extends string>(name: string, value: unknown, sizes: TypeSizes<T>): Entry<T> {
  if (!isObject(value)) throw malformed(`the entry of '${name}' is not an object`)
  const { dtype, shape, data_offsets: offsets, ...others } = value
  const types = Object.keys(sizes) as T[]
  const known = types.find((type) => type === dtype)
  if (known === undefined)
    throw malformed(`'${name}' has the type ${JSON.stringify(dtype)}; known are ${types.join(', ')}`)
  if (!Array.isArray(shape) || !shape.every(isLength))
    throw malformed(`the shape of '${name}' is not a list of lengths`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isLength)) {
    throw malformed(`the data_offsets of '${name}' are not two lengths`)
  }
  const [other] = Object.keys(others)
  if (other !== undefined) throw malformed(`the entry of '${name}' has an unknown field '${other}'`)
  const entry = { name, dtype: known, shape: shape as number[], begin: offsets[0] as number, end: offsets[1] as number }
  const bytes = bytesOf(sizes[known], entry.shape)
  if (entry.end - entry.begin !== bytes) {
    const message = `'${name}' of type ${dtype} and shape [${shape}] takes ${bytes} bytes`
    throw malformed(`${message}, but its data_offsets are ${entry.begin} and ${entry.end}`)
  }
  return entry
}

/**
 * Parses a header. Its entries, in the order of their bytes, must fill the data without gaps or overlaps.
 * @param json the header, without its length
 * @param dataBytes number of bytes after the header
 * @param sizes the types allowed. Default: those that this package writes
 * @throws FILE_FORMAT
 */
export function parseHeader(json: Uint8Array, dataBytes: number): Contents<Entry>
export function parseHeader<T extends string>(
  json: Uint8Array,
  dataBytes: number,
  sizes: TypeSizes<T>,
): Contents<Entry<T>>
export function parseHeader(
  json: Uint8Array,
  dataBytes: number,
  sizes: TypeSizes<string> = ownSizes,
): Contents<Entry<string>> {
  const { __metadata__, ...fields } = parsedJson(json)
  const metadata = parsedMetadata(__metadata__)
  const tensors = Object.entries(fields).map(([name, value]) => parsedEntry(name, value, sizes))
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let expected = 0
  for (const { name, begin, end: stop } of tensors) {
    if (begin !== expected) throw malformed(`'${name}' begins at byte ${begin} of the data, not at ${expected}`)
    expected = stop
  }
  if (expected === dataBytes) return { tensors, metadata }
  const hint = expected > dataBytes ? '; is it truncated? Copy or download it again' : ''
  throw malformed(`its tensors take ${expected} bytes, and ${dataBytes} follow the header${hint}`)
}

/** Decodes a file; the tensors are copies. @throws FILE_FORMAT with the reason */
export function decode(file: Uint8Array): Contents<NamedTensor> {
  const start = lengthBytes + headerLength(file.subarray(0, lengthBytes), file.length)
  const { tensors, metadata } = parseHeader(file.subarray(lengthBytes, start), file.length - start)
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
