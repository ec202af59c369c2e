import type { PixelSize } from './crop.js'

/** What the header of a JPEG says. */
export interface JpegHeader extends PixelSize {
  /** 1: grey; 3: colours. */
  readonly components: 1 | 3
}

/** Second byte of a marker; the first is 0xff. */
const mark = { start: 0xd8, end: 0xd9, scan: 0xda, exif: 0xe1, profile: 0xe2 } as const
/** Frames that libjpeg-turbo decodes as everybody does: baseline, extended sequential, progressive, with Huffman codes. */
const usualFrames = [0xc0, 0xc1, 0xc2]
/** Others: lossless, hierarchical, arithmetic. 0xc4, 0xc8 and 0xcc are no frames. */
const otherFrames = [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]

/**
 * The header of a plain JPEG: 8 bits, grey or of three components, upright, without a colour profile. Undefined of
 * everything else, and wherever anything looks strange. Looks at no more than the segments before the first scan;
 * whether what follows them is whole is not judged.
 */
export function plainJpeg(bytes: Uint8Array): JpegHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes[0] !== 0xff || bytes[1] !== mark.start) return undefined
  let header: JpegHeader | undefined
  let hasExif = false
  for (let position = 2; position + 4 <= bytes.length; ) {
    const kind = bytes[position + 1] ?? 0
    if (bytes[position] !== 0xff || hasNoLength(kind)) return undefined
    const length = view.getUint16(position + 2)
    const end = position + 2 + length
    if (length < 2 || end > bytes.length) return undefined
    if (kind === mark.scan) return header
    const segment = new DataView(bytes.buffer, bytes.byteOffset + position + 4, length - 2)
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
    position = end
  }
  return undefined
}

/** Markers that stand alone, none of which belongs before a scan, and what is no marker (0xff may fill any gap). */
const hasNoLength = (kind: number) => kind <= 1 || (kind >= 0xd0 && kind <= mark.end) || kind === 0xff

function begins(segment: DataView, letters: string): boolean {
  if (segment.byteLength < letters.length) return false
  for (let position = 0; position < letters.length; position++) {
    if (segment.getUint8(position) !== letters.charCodeAt(position)) return false
  }
  return true
}

/** Precision, height, width, components, then 3 bytes of each component. */
function frameOf(segment: DataView): JpegHeader | undefined {
  if (segment.byteLength < 6 || segment.getUint8(0) !== 8) return undefined
  const [height, width, components] = [segment.getUint16(1), segment.getUint16(3), segment.getUint8(5)]
  if (height === 0 || width === 0 || (components !== 1 && components !== 3)) return undefined
  return segment.byteLength === 6 + 3 * components ? { height, width, components } : undefined
}

const orientationTag = 0x0112
const shortType = 3

/**
 * Whether EXIF says that the image is upright already, or nothing. `Exif` and two zeros, then a TIFF header (the order
 * of bytes, 42, the position of the first directory), directories with entries of 12 bytes: tag, type, count, value.
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
