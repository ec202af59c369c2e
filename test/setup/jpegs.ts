import jpegTurbo from '@julusian/jpeg-turbo'
import { Random } from '../../lib/random.js'
import { type Pixels, packed } from './photos.js'

/** How finely colours are stored beside brightness; grey: not at all. */
export const samplings = ['4:4:4', '4:2:2', '4:2:0', '4:4:0', 'grey'] as const
export type Sampling = (typeof samplings)[number]

const codes: Record<Sampling, number> = {
  '4:4:4': jpegTurbo.SAMP_444,
  '4:2:2': jpegTurbo.SAMP_422,
  '4:2:0': jpegTurbo.SAMP_420,
  '4:4:0': jpegTurbo.SAMP_440,
  grey: jpegTurbo.SAMP_GRAY,
}

/** Noise, a few pixels coarse: whatever is taken from the wrong position shows. */
export async function coarseNoise(height: number, width: number, seed = 1): Promise<Pixels> {
  const random = new Random(seed)
  const [rows, columns] = [Math.ceil(height / 3), Math.ceil(width / 3)]
  const data = Uint8Array.from({ length: rows * columns * 3 }, () => random.integer(256))
  const scaled = await packed({ data, height: rows, width: columns, channels: 3 })
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer()
  return { data: scaled, height, width, channels: 3 }
}

/** A baseline JPEG. */
export function baseline({ data, height, width }: Pixels, sampling: Sampling, quality = 90): Buffer {
  return jpegTurbo.compressSync(Buffer.from(data), {
    format: jpegTurbo.FORMAT_RGB,
    width,
    height,
    subsampling: codes[sampling],
    quality,
  })
}

/** The segments of a JPEG before its first scan: the marker's second byte, and what follows the length. */
export function segmentsOf(bytes: Buffer): { kind: number; start: number; data: Buffer }[] {
  const found = []
  for (let position = 2; bytes[position + 1] !== 0xda; position += 2 + bytes.readUInt16BE(position + 2)) {
    const data = bytes.subarray(position + 4, position + 2 + bytes.readUInt16BE(position + 2))
    found.push({ kind: bytes[position + 1] ?? 0, start: position, data })
  }
  return found
}

/** A JPEG with one more segment, the first. */
export function withSegment(bytes: Buffer, kind: number, data: Buffer): Buffer {
  const head = Buffer.from([0xff, kind, 0, 0])
  head.writeUInt16BE(data.length + 2, 2)
  return Buffer.concat([bytes.subarray(0, 2), head, data, bytes.subarray(2)])
}
