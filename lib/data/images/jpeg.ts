import type { PixelSize } from './crop.js'

/** The header of a JPEG. */
export interface JpegHeader extends PixelSize {
  /** Number of components: 1 (grey) or 3 (colour). */
  readonly components: 1 | 3
  /**
   * Bytes of the coefficients, which libjpeg-turbo holds of the whole image if it has several scans, as a progressive one
   * has; 0 otherwise.
   */
  readonly coefficientBytes: number
}

/** Second byte of a marker; the first is 0xff. */
const mark = { start: 0xd8, end: 0xd9, scan: 0xda, exif: 0xe1, profile: 0xe2 } as const
/** Frame types that every decoder knows: baseline, extended sequential, progressive; with Huffman codes. */
const usualFrames = [0xc0, 0xc1, 0xc2]
const progressive = 0xc2
/** Other frame types: lossless, hierarchical, arithmetic. 0xc4, 0xc8 and 0xcc are no frames. */
const otherFrames = [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]

/**
 * Reads the header of a plain JPEG: 8 bits, one or three components, upright, without a colour profile. Returns undefined
 * for any other file and for any irregularity. Reads only the segments before the first scan; the scans are not checked.
 */
export function plainJpeg(bytes: Uint8Array): JpegHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes[0] !== 0xff || bytes[1] !== mark.start) return undefined
  let frame: { readonly kind: number; readonly header: JpegHeader } | undefined
  let hasExif = false
  for (let offset = 2; offset + 4 <= bytes.length; ) {
    const kind = bytes[offset + 1] ?? 0
    if (bytes[offset] !== 0xff || hasNoLength(kind)) return undefined
    const length = view.getUint16(offset + 2)
    const end = offset + 2 + length
    if (length < 2 || end > bytes.length) return undefined
    const segment = new DataView(bytes.buffer, bytes.byteOffset + offset + 4, length - 2)
    if (kind === mark.scan) {
      if (!frame || segment.byteLength < 1) return undefined
      const { header } = frame
      const isOneScan = frame.kind !== progressive && segment.getUint8(0) === header.components
      return isOneScan ? { ...header, coefficientBytes: 0 } : header
    }
    if (usualFrames.includes(kind)) {
      const header = frameOf(segment)
      if (frame || !header) return undefined
      frame = { kind, header }
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

/**
 * Counts the scans of a JPEG up to its end. Each takes time by the size of the image, and can take 200 bytes in the file,
 * however large the image is.
 */
export function scansOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let scans = 0
  for (let offset = bytes.indexOf(0xff); offset !== -1 && offset + 4 <= bytes.length; ) {
    const kind = bytes[offset + 1] ?? 0
    if (kind === mark.end) break
    if (kind === mark.scan) scans += 1
    // in a scan, 0xff is followed by 0 or a restart marker
    const length = hasNoLength(kind) ? 0 : view.getUint16(offset + 2)
    offset = bytes.indexOf(0xff, offset + (kind === 0xff ? 1 : 2 + length))
  }
  return scans
}

function begins(segment: DataView, letters: string): boolean {
  if (segment.byteLength < letters.length) return false
  for (let offset = 0; offset < letters.length; offset++) {
    if (segment.getUint8(offset) !== letters.charCodeAt(offset)) return false
  }
  return true
}

/**
 * Reads a frame segment: precision, height, width, number of components, then 3 bytes for each component: its name, its
 * sampling factors (4 bits each), its table.
 */
function frameOf(segment: DataView): JpegHeader | undefined {
  if (segment.byteLength < 6 || segment.getUint8(0) !== 8) return undefined
  const [height, width, components] = [segment.getUint16(1), segment.getUint16(3), segment.getUint8(5)]
  if (height === 0 || width === 0 || (components !== 1 && components !== 3)) return undefined
  if (segment.byteLength !== 6 + 3 * components) return undefined
  const factors = Array.from({ length: components }, (_, index) => segment.getUint8(7 + 3 * index))
  const [across, down] = [factors.map((both) => both >> 4), factors.map((both) => both & 15)]
  const [most, tallest] = [Math.max(...across), Math.max(...down)]
  if (most > 4 || tallest > 4 || Math.min(...across, ...down) === 0) return undefined
  const units = Math.ceil(width / (8 * most)) * Math.ceil(height / (8 * tallest))
  const blocks = units * factors.reduce((sum, both) => sum + (both >> 4) * (both & 15), 0)
  return { height, width, components, coefficientBytes: blocks * 64 * 2 }
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
