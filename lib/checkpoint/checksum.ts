// no named import: if Node has no crc32, lib/platform/load/node-check.ts must report it, not the linker
import zlib from 'node:zlib'
import { VggError } from '../error.js'
import { excessOf } from '../untrusted.js'
import {
  type Contents,
  encodeHeader,
  headerLimits,
  lengthBytes,
  type TensorData,
  type TensorInfo,
  tensorBytes,
  textLimits,
} from './safetensors.js'

// Three keys of the metadata, each one or several CRC-32 as 8 hexadecimal digits:
// - `checksum`: of the texts of the model, the run and the training, followed by the bytes of all tensors in their order;
// - `checksums`: its intermediate values after each tensor, which identify a damaged tensor;
// - `headerChecksum`: of the header as `encodeHeader` writes it, with zeros for this value.
// Older versions wrote only `checksum` into checkpoints and none into models; they can read files of this version.

type Metadata = Readonly<Record<string, string>>

const digits = (value: number): string => value.toString(16).padStart(8, '0')

const ofTexts = ({ model, run, training }: Metadata): number => zlib.crc32(JSON.stringify([model, run, training]))

const damagedHeader = (): VggError =>
  new VggError(
    'FILE_FORMAT',
    'The header does not agree with its checksum: the file is damaged, or another program changed it',
  )

/** Block size in bytes for reading and checksums. The event loop runs between two blocks. */
export const blockBytes = 2 ** 22

async function extended(checksum: number, bytes: Uint8Array): Promise<number> {
  let value = checksum
  for (let from = 0; from < bytes.length; from += blockBytes) {
    value = zlib.crc32(bytes.subarray(from, from + blockBytes), value)
    if (bytes.length > blockBytes) await new Promise((resolve) => setImmediate(resolve))
  }
  return value
}

const headerChecksum = (tensors: readonly TensorInfo[], metadata: Metadata): string =>
  digits(zlib.crc32(encodeHeader(tensors, { ...metadata, headerChecksum: digits(0) }).header))

/**
 * Encodes a file with checksums, in parts: the header, and each tensor. Equal content gives equal bytes.
 * @throws SHAPE_MISMATCH if a tensor's data does not fit its shape; FILE_WRITE if the header could not be read
 */
export async function encodeWithChecksums(
  tensors: readonly TensorInfo[],
  data: ReadonlyMap<string, TensorData>,
  metadata: Metadata,
): Promise<Uint8Array[]> {
  const parts = await withChecksums(tensors, data, metadata)
  checkReadable((parts[0] as Uint8Array).subarray(lengthBytes), metadata)
  return parts
}

/** As `encodeWithChecksums`, whether the header can be read or not. */
export async function withChecksums(
  tensors: readonly TensorInfo[],
  data: ReadonlyMap<string, TensorData>,
  metadata: Metadata,
): Promise<Uint8Array[]> {
  const parts = encodeHeader(tensors, metadata).entries.map((entry) => tensorBytes(entry, data.get(entry.name)))
  const values: number[] = []
  let checksum = ofTexts(metadata)
  for (const part of parts) {
    checksum = await extended(checksum, part)
    values.push(checksum)
  }
  const complete = { ...metadata, checksum: digits(checksum), checksums: values.map(digits).join(' ') }
  const sealed = { ...complete, headerChecksum: headerChecksum(tensors, complete) }
  const { header } = encodeHeader(tensors, sealed)
  return [header, ...parts]
}

/** @throws FILE_WRITE if a header, or a text in it, exceeds what is read */
function checkReadable(header: Uint8Array, metadata: Metadata): void {
  const refused = (expected: string, found: string): VggError =>
    new VggError('FILE_WRITE', `Expected ${expected} but it ${found}: use fewer or shorter names of classes and layers`)
  const { bytes } = headerLimits
  if (header.length > bytes) throw refused(`a header of at most ${bytes} bytes`, `takes ${header.length}`)
  const excess = excessOf(header, headerLimits)
  if (excess !== undefined) throw refused('a header that can be read', excess)
  for (const [name, text] of Object.entries(metadata)) {
    const more = excessOf(Buffer.from(text), textLimits)
    if (more !== undefined) throw refused(`a text '${name}' in the header that can be read`, more)
  }
}

/** Checksums of a file, which verify each tensor, all tensors together, or nothing. */
export interface Checksums {
  readonly covers: 'each tensor' | 'all tensors' | 'nothing'
  /** CRC-32 before the first tensor. */
  readonly before: number
  /** CRC-32 after each tensor, in the order of their bytes; undefined if unknown. */
  readonly after: readonly (number | undefined)[]
}

/** Reads the checksums of a file and verifies its header. @throws FILE_FORMAT */
export function checksumsOf({ tensors, metadata }: Contents<TensorInfo>): Checksums {
  const { checksum, checksums, headerChecksum: stated } = metadata
  const before = ofTexts(metadata)
  if (checksums === undefined && stated === undefined) {
    const last = checksum === undefined ? undefined : Number.parseInt(checksum, 16)
    const covers = last === undefined ? 'nothing' : 'all tensors'
    return { covers, before, after: tensors.map((_, index) => (index === tensors.length - 1 ? last : undefined)) }
  }
  const after = (checksums ?? '').split(' ').map((value) => Number.parseInt(value, 16))
  const isWhole = stated === headerChecksum(tensors, metadata) && after.length === tensors.length
  if (!isWhole || !after.every(Number.isInteger)) throw damagedHeader()
  return { covers: 'each tensor', before, after }
}

/** Compares the bytes of a file's tensors, in their order, with its checksums. */
export class Verification {
  readonly #checksums: Checksums
  #value: number
  #index = 0

  constructor(checksums: Checksums) {
    this.#checksums = checksums
    this.#value = checksums.before
  }

  /** Adds bytes of the current tensor. */
  add(block: Uint8Array): void {
    this.#value = zlib.crc32(block, this.#value)
  }

  /** Ends the current tensor. @throws FILE_FORMAT if it, or one before it, is damaged */
  finish(name: string): void {
    const { covers } = this.#checksums
    const expected = this.#checksums.after[this.#index++]
    if (expected === undefined || expected === this.#value) return
    const what = covers === 'each tensor' ? `The tensor ${name} does` : 'The tensors do'
    const message = `${what} not agree with the checksum of the file: it is damaged, or another program changed it`
    throw new VggError('FILE_FORMAT', message)
  }

  /** Skips the current tensor. Allowed only if later ones can be verified without it. */
  skip(): void {
    this.#value = this.#checksums.after[this.#index++] ?? this.#value
  }
}
