import type { PixelSize } from './crop.js'

/** The header of a JPEG. */
export interface JpegHeader extends PixelSize {
  /** Number of components: 1 (grey) or 3 (colour). */
  readonly components: 1 | 3
}

/** Second byte of a marker; the first is 0xff. */
const mark = { start: 0xd8, end: 0xd9, scan: 0xda, exif: 0xe1, profile: 0xe2 } as const
/** Frame types that every decoder knows: baseline, extended sequential, progressive; with Huffman codes. */
const usualFrames = [0xc0, 0xc1, 0xc2]
/** Other frame types: lossless, hierarchical, arithmetic. 0xc4, 0xc8 and 0xcc are no frames. */
const otherFrames = [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]

/**
 * Reads the header of a plain JPEG: 8 bits, one or three components, upright, without a colour profile. Returns undefined
 * for any other file and for any irregularity. Reads only the segments before the first scan; the scans are not checked.
 */
export function plainJpeg(bytes: Uint8Array): JpegHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes[0] !== 0xff || bytes[1] !== mark.start) return undefined
  let header: JpegHeader | undefined
  let hasExif = false
  for (let offset = 2; offset + 4 <= bytes.length; ) {
    const kind = bytes[offset + 1] ?? 0
    if (bytes[offset] !== 0xff || hasNoLength(kind)) return undefined
    const length = view.getUint16(offset + 2)
    const end = offset + 2 + length
    if (length < 2 || end > bytes.length) return undefined
    if (kind === mark.scan) return header
    const segment = new DataView(bytes.buffer, bytes.byteOffset + offset + 4, length - 2)
    if (usualFrames.includes(kind)) {
      if (header) return undefined
      header = frameOf(segment)
      if (!header) return undefined
    }
    if (otherFrames.includes(kind)) return undefined
    if (kind === mark.profile && begins(segment, 'ICC_PROFILE\0')) return undefined
    if (kind === mark.exif && begins(segment, 'Exif\0')) {
      if (hasExif || !isUpright(segment)) return undefined
      hasExif = true
    }
    offset = end
  }
  return undefined
}

/** Whether a marker has no length: those that do not occur before a scan, and bytes that are no marker (0xff is padding). */
const hasNoLength = (kind: number) => kind <= 1 || (kind >= 0xd0 && kind <= mark.end) || kind === 0xff

function begins(segment: DataView, letters: string): boolean {
  if (segment.byteLength < letters.length) return false
  for (let offset = 0; offset < letters.length; offset++) {
    if (segment.getUint8(offset) !== letters.charCodeAt(offset)) return false
  }
  return true
}

/** Reads a frame segment: precision, height, width, number of components, then 3 bytes for each component. */
function frameOf(segment: DataView): JpegHeader | undefined {
  if (segment.byteLength < 6 || segment.getUint8(0) !== 8) return undefined
  const [height, width, components] = [segment.getUint16(1), segment.getUint16(3), segment.getUint8(5)]
  if (height === 0 || width === 0 || (components !== 1 && components !== 3)) return undefined
  return segment.byteLength === 6 + 3 * components ? { height, width, components } : undefined
}

const orientationTag = 0x0112
const shortType = 3

/**
 * Whether the EXIF orientation is upright or absent. The segment has `Exif` and two zeros, a TIFF header (byte order, 42,
 * offset of the first directory), and directories with entries of 12 bytes: tag, type, count, value.
 */
function isUpright(segment: DataView): boolean {
  const tiff = 6
  if (segment.byteLength < tiff + 8) return false
  const order = segment.getUint16(tiff)
  if (order !== 0x4949 && order !== 0x4d4d) return false
  const little = order === 0x4949
  if (segment.getUint16(tiff + 2, little) !== 42) return false
  const directory = tiff + segment.getUint32(tiff + 4, little)
  if (directory + 2 > segment.byteLength) return false
  const count = segment.getUint16(directory, little)
  if (directory + 2 + count * 12 > segment.byteLength) return false
  for (let entry = directory + 2; entry < directory + 2 + count * 12; entry += 12) {
    if (segment.getUint16(entry, little) !== orientationTag) continue
    const plain = segment.getUint16(entry + 2, little) === shortType && segment.getUint32(entry + 4, little) === 1
    if (!plain || segment.getUint16(entry + 8, little) !== 1) return false
  }
  return true
}
