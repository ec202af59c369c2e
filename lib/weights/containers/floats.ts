import { blockBytes } from '../../checkpoint/checksum.js'
import { VggError } from '../../error.js'
import { shorten } from '../../options.js'
import type { ByteFile } from './byte-file.js'
import { floatTypes } from './weight-file.js'

export type FloatType = (typeof floatTypes)[number]

/** Size in bytes of an element of each type that is read. */
export const floatBytes: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2, F64: 8 }

/** The type as one that is read. @throws FILE_FORMAT for other types */
export function floatType(name: string, type: string): FloatType {
  const known = floatTypes.find((float) => float === type)
  if (known !== undefined) return known
  throw new VggError(
    'FILE_FORMAT',
    `'${shorten(name)}' has the type ${type}, which is not read; read are ${floatTypes.join(', ')}`,
  )
}

/** Fills `into` with little-endian elements from byte `begin` of the file, converted to float32. @throws FILE_FORMAT */
export async function readFloats(file: ByteFile, type: FloatType, begin: number, into: Float32Array): Promise<void> {
  if (type === 'F32') return file.fill(new Uint8Array(into.buffer, into.byteOffset, into.byteLength), begin)
  const size = floatBytes[type]
  const block = new Uint8Array(Math.min(blockBytes, into.length * size))
  for (let at = 0; at < into.length; at += block.length / size) {
    const part = into.subarray(at, at + block.length / size)
    const bytes = block.subarray(0, part.length * size)
    await file.fill(bytes, begin + at * size)
    floatsFrom[type](bytes.buffer, part)
  }
}

/** The element at byte `begin` of the file. @throws FILE_FORMAT */
export async function firstFloat(file: ByteFile, at: { type: FloatType; begin: number }): Promise<number> {
  const value = new Float32Array(1)
  await readFloats(file, at.type, at.begin, value)
  return value[0] as number
}

const bitsOf = (floats: Float32Array): Uint32Array => new Uint32Array(floats.buffer, floats.byteOffset, floats.length)

/** Fills `into` with the little-endian elements at the begin of a buffer, converted to float32. */
export const floatsFrom: Readonly<Record<FloatType, (from: ArrayBufferLike, into: Float32Array) => void>> = {
  F32: (from, into) => into.set(new Float32Array(from, 0, into.length)),
  F64: (from, into) => into.set(new Float64Array(from, 0, into.length)),
  BF16: (from, into) => {
    const bits = bitsOf(into)
    new Uint16Array(from, 0, into.length).forEach((half, i) => {
      bits[i] = half << 16
    })
  },
  F16: (from, into) => {
    const bits = bitsOf(into)
    new Uint16Array(from, 0, into.length).forEach((half, i) => {
      const [exponent, mantissa] = [half & 0x7c00, half & 0x3ff]
      // without an exponent it is a multiple of 2^-24, which float32 holds; its largest means infinity or NaN in both
      if (exponent === 0) into[i] = mantissa * 2 ** -24
      else bits[i] = (exponent === 0x7c00 ? 0x7f800000 : (exponent << 13) + 0x38000000) | (mantissa << 13)
      bits[i] = (bits[i] ?? 0) | ((half & 0x8000) << 16)
    })
  },
}
