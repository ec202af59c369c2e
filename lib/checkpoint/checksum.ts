// no named import: where Node has no crc32 lib/platform/load/node-check.ts is to say so, not the linker
import zlib from 'node:zlib'
import { VggError } from '../error.js'
import {
  type Contents,
  type Entry,
  encodeHeader,
  type TensorData,
  type TensorInfo,
  tensorBytes,
} from './safetensors.js'

// Three keys of the metadata, each a CRC-32 as 8 hexadecimal digits, or several after each other:
// - `checksum`: of the texts of the model, the run and the training, and then of the bytes of all tensors in their order;
// - `checksums`: the values that it had after each tensor, which tell the tensor that is damaged;
// - `headerChecksum`: of the header, as `encodeHeader` writes it, with zeros for this value.
// Older vggnet wrote `checksum` alone into checkpoints and nothing into models, and reads the files of this one.

type Metadata = Readonly<Record<string, string>>

const digits = (value: number): string => value.toString(16).padStart(8, '0')

const ofTexts = ({ model, run, training }: Metadata): number => zlib.crc32(JSON.stringify([model, run, training]))

const damagedHeader = (): VggError =>
  new VggError(
    'FILE_FORMAT',
    'The header does not agree with its checksum: the file is damaged, or another program changed it',
  )

/** Bytes that are read, or whose checksum is computed, at a time. The event loop runs between two blocks. */
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
 * The bytes of a file with checksums, in parts: the header, and each tensor. Equal content gives equal bytes.
 * @throws SHAPE_MISMATCH where a tensor's data does not fit its shape
 */
export async function encodeWithChecksums(
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
  return [encodeHeader(tensors, sealed).header, ...parts]
}

/** What is known of the bytes of a file: by its checksums each tensor can be verified, all of them together, or none. */
export interface Checksums {
  readonly covers: 'each tensor' | 'all tensors' | 'nothing'
  /** CRC-32 before the first tensor. */
  readonly before: number
  /** CRC-32 after each tensor, in the order of their bytes; undefined where it is not known. */
  readonly after: readonly (number | undefined)[]
}

/** The checksums of a file, whose header is verified. @throws FILE_FORMAT */
export function checksumsOf({ tensors, metadata }: Contents<Entry>): Checksums {
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

/** Follows the bytes of a file's tensors, in their order, and compares them with its checksums. */
export class Verification {
  readonly #checksums: Checksums
  #value: number
  #index = 0

  constructor(checksums: Checksums) {
    this.#checksums = checksums
    this.#value = checksums.before
  }

  /** Bytes of the present tensor. */
  add(block: Uint8Array): void {
    this.#value = zlib.crc32(block, this.#value)
  }

  /** The end of the present tensor. @throws FILE_FORMAT where it, or one before it, is damaged */
  finish(name: string): void {
    const { covers } = this.#checksums
    const expected = this.#checksums.after[this.#index++]
    if (expected === undefined || expected === this.#value) return
    const what = covers === 'each tensor' ? `The tensor ${name} does` : 'The tensors do'
    const message = `${what} not agree with the checksum of the file: it is damaged, or another program changed it`
    throw new VggError('FILE_FORMAT', message)
  }

  /** Leaves the present tensor out. Only where it is not needed to verify later ones. */
  skip(): void {
    this.#value = this.#checksums.after[this.#index++] ?? this.#value
  }
}
