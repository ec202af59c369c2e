/**
 * Records of a TensorBoard event file, as bytes: TFRecord frames around protobuf messages, of which only the few fields
 * that scalars need are written (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
 */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0)
  return remainder >>> 0
})

/** CRC-32C (Castagnoli), reflected: of '123456789' it is 0xE3069283. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

/** As TFRecord stores it: a checksum over data that holds checksums would else be weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** length u64, its masked CRC u32, the data, their masked CRC u32; little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(data.length + 16)
  const view = new DataView(frame.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc(frame.subarray(0, 8)), true)
  frame.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc(data), true)
  return frame
}

/** What one event holds besides its time and step. */
export type EventContent =
  /** The first record of a file. */
  | { readonly fileVersion: string }
  /** Values by tag, stored in float32. */
  | { readonly scalars: Readonly<Record<string, number>> }
  /** A training begins, or goes on: what an earlier file says of this step and later ones is void. */
  | { readonly session: 'start' }

/**
 * `tensorflow.Event`.
 * @param wallTime seconds since 1970
 * @param step an integer from 0
 */
export function encodeEvent(wallTime: number, step: number, content: EventContent): Uint8Array {
  return joined([float64(1, wallTime), varintField(2, step), encodeContent(content)])
}

function encodeContent(content: EventContent): Uint8Array {
  if ('fileVersion' in content) return textField(3, content.fileVersion)
  if ('session' in content) return bytesField(7, varintField(1, sessionStart))
  const values = Object.entries(content.scalars).map(([tag, value]) =>
    bytesField(1, joined([textField(1, tag), float32(2, value)])),
  )
  return bytesField(5, joined(values))
}

/** SessionLog.SessionStatus.START */
const sessionStart = 1

// The lowest three bits of a field's key say how it is stored.
const wire = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const

const key = (field: number, kind: keyof typeof wire): Uint8Array => varint(field * 8 + wire[kind])

/** Base 128, lowest digit first. By division: a shift would cut a step at 2^32. */
function varint(value: number): Uint8Array {
  const digits: number[] = []
  let rest = value
  while (rest >= 128) {
    digits.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Uint8Array.from([...digits, rest])
}

const varintField = (field: number, value: number): Uint8Array => joined([key(field, 'varint'), varint(value)])

function bytesField(field: number, content: Uint8Array): Uint8Array {
  return joined([key(field, 'bytes'), varint(content.length), content])
}

const textField = (field: number, text: string): Uint8Array => bytesField(field, new TextEncoder().encode(text))

function float64(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return joined([key(field, 'eightBytes'), bytes])
}

function float32(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setFloat32(0, value, true)
  return joined([key(field, 'fourBytes'), bytes])
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))
