import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

// A reader of TensorBoard event files that shares nothing with lib: other arithmetic for the checksum, any protobuf message.

const bits = 0x1_0000_0000n

/** CRC-32C bit by bit, not reflected: the polynomial 0x1EDC6F41 over mirrored bytes; nothing of it is in lib. */
export function plainCrc(bytes: Uint8Array): number {
  const mirrored = (value: bigint, width: number) =>
    BigInt(`0b${value.toString(2).padStart(width, '0').split('').reverse().join('')}`)
  let crc = 0xffffffffn
  for (const byte of bytes) {
    crc ^= mirrored(BigInt(byte), 8) << 24n
    for (let bit = 0; bit < 8; bit++) crc = crc >> 31n === 1n ? ((crc << 1n) % bits) ^ 0x1edc6f41n : crc << 1n
  }
  return Number(mirrored(crc ^ 0xffffffffn, 32))
}

const masked = (bytes: Uint8Array): number => {
  const crc = BigInt(plainCrc(bytes))
  return Number(((crc >> 15n) + ((crc << 17n) % bits) + 0xa282ead8n) % bits)
}

/** A field of a protobuf message. */
export type Field = [field: number, content: number | bigint | Buffer]

/** The fields of any protobuf message, in order. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(message.readUInt8(at++))
      value += (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  while (at < message.length) {
    const key = Number(varint())
    const field = key >> 3
    switch (key & 7) {
      case 0:
        fields.push([field, varint()])
        break
      case 1:
        fields.push([field, message.readDoubleLE(at)])
        at += 8
        break
      case 2: {
        const length = Number(varint())
        fields.push([field, message.subarray(at, at + length)])
        at += length
        break
      }
      case 5:
        fields.push([field, message.readFloatLE(at)])
        at += 4
        break
      default:
        throw new Error(`no such wire type in ${key}`)
    }
  }
  return fields
}

/** The events of a file; throws where a length or a checksum is not right. */
export function eventsOf(file: string): Field[][] {
  const bytes = readFileSync(file)
  const events: Field[][] = []
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at))
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)))
    const data = bytes.subarray(at + 12, at + 12 + length)
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(data))
    events.push(fieldsOf(data))
    at += 16 + length
  }
  return events
}

/** The values of an event by tag. */
export function scalarsOf(event: Field[]): Record<string, number> {
  const [, , [, summary]] = event as [Field, Field, [number, Buffer]]
  return Object.fromEntries(
    fieldsOf(summary).map(([field, value]) => {
      expect(field).toBe(1)
      const [[tagField, tag], [valueField, scalar]] = fieldsOf(value as Buffer) as [Field, Field]
      expect([tagField, valueField]).toEqual([1, 2])
      return [String(tag), scalar as number]
    }),
  )
}
