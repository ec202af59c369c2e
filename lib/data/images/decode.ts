import { stat } from 'node:fs/promises'
import sharp, { type Metadata } from 'sharp'
import { VggError } from '../../error.js'
import { notFound } from '../../files/not-found.js'
import { NotAFile, readRegularFile } from '../../files/regular-file.js'
import { native } from '../../platform/native.js'
import type { CropBox, CropSpec, PixelSize } from './crop.js'
import { contentText, type Decoding, formatOf, type ImageFormat, tooSlow, unreadable } from './formats.js'
import { type JpegHeader, plainJpeg, scansOf } from './jpeg.js'
import { budgets, checkMemory, heldPerPixel, scaledBytes } from './memory.js'
import { drawSvg, sizeOfSvg } from './svg.js'
import { directoriesOf } from './tiff.js'

/** The source of an image file: its path, its bytes, or a function that returns its bytes. */
export type PhotoSource = string | Uint8Array | (() => Promise<Uint8Array>)

/** An image file in memory, with the facts from its header. */
export interface Image {
  /** The encoded bytes of the file. */
  readonly bytes: Uint8Array
  /** Size after the EXIF orientation is applied: for a rotated image, height and width are exchanged. */
  readonly size: PixelSize
  readonly format: ImageFormat
  /** Whether the image has 16 bits per channel and a colour profile. */
  readonly deepWithProfile: boolean
  /** Bytes that its decoder takes besides the decoded pixels, estimated from above. */
  readonly heldBytes: number
  /** Header of a plain JPEG, which libjpeg-turbo decodes without sharp. Absent for any other image. */
  readonly plain?: JpegHeader
}

/** Error codes of a machine at its limits. The image may be readable a moment later, so that it must not be skipped. */
const machineFaults = ['EMFILE', 'ENFILE', 'ENOMEM']

/** Allowance for the parts of a file besides its pixels: EXIF, profile, thumbnail. */
const headerBytes = 1 << 26

async function fileBytes(path: string, { pixelLimit }: Decoding): Promise<Uint8Array> {
  try {
    return await readRegularFile(path, pixelLimit * 8 + headerBytes, (size) =>
      unreadable(`it has ${size} bytes, more than an image of ${pixelLimit} pixels can need`),
    )
  } catch (error) {
    if (error instanceof NotAFile) throw unreadable(`it is ${error.kind}`, error)
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (machineFaults.includes(code)) throw new VggError('STATE', `Could not read ${path}: ${code}`, { cause: error })
    if (code === 'ENOENT' || code === 'ENOTDIR') throw notFound('no such file', path, error)
    throw error instanceof VggError ? error : unreadable(`reading it failed: ${(error as Error).message}`, error)
  }
}

/**
 * Reads the bytes of an image file.
 *
 * @throws VggError FILE_NOT_FOUND or FILE_FORMAT, whose message is the bare reason; STATE if the machine is at fault, for
 *   example with too many open files
 */
export async function encodedBytes(source: PhotoSource, decoding: Decoding): Promise<Uint8Array> {
  if (typeof source === 'string') return fileBytes(source, decoding)
  if (typeof source !== 'function') return source
  let bytes: unknown
  try {
    bytes = await source()
  } catch (error) {
    if (error instanceof VggError) throw error
    throw unreadable(`its source failed: ${(error as Error)?.message ?? error}`, error)
  }
  if (!(bytes instanceof Uint8Array)) throw unreadable('its source returned no bytes')
  return bytes
}

/**
 * Reads an image file and its header for `use`. The files that are in memory at once, of all datasets of this thread, take
 * at most `decodeBytes`.
 *
 * @throws VggError FILE_NOT_FOUND or FILE_FORMAT, whose message is the bare reason; STATE; the errors of `use`
 */
export async function withImage<T>(
  source: PhotoSource,
  decoding: Decoding,
  use: (image: Image) => Promise<T>,
): Promise<T> {
  const read = async (): Promise<T> => use(await openImage(await encodedBytes(source, decoding), decoding))
  if (typeof source !== 'string') return read()
  const size = await stat(source).then(
    (found) => (found.isFile() ? found.size : 0),
    () => 0, // reading it reports the reason
  )
  checkMemory('it has', size, decoding.decodeBytes)
  return budgets.files.hold(size, decoding.decodeBytes, read)
}

/**
 * Reads the header of an image. The format is recognised by content, not by the name of the file. libvips receives only
 * images of the formats in `formats`.
 *
 * @throws VggError FILE_FORMAT, whose message is the bare reason
 */
export async function openImage(bytes: Uint8Array, decoding: Decoding): Promise<Image> {
  const { formats, pixelLimit } = decoding
  const format = formatOf(bytes)
  if (format === undefined) throw unreadable(`it is ${contentText(bytes) ?? 'no image of a known format'}`)
  if (!formats.includes(format)) {
    const cure = `add it to formats (--formats ${[...formats, format].join(',')})`
    throw unreadable(`its format is ${format}, and those allowed are ${formats.join(', ')}: ${cure}`)
  }
  if (format === 'jpeg' && scansOf(bytes) > mostScans) throw unreadable(`it has more than ${mostScans} scans`)
  if (format === 'tiff' && directoriesOf(bytes, mostPages) > mostPages) {
    throw unreadable(`it has more than ${mostPages} pages: save the first one by itself`)
  }
  const plain = format === 'jpeg' && hasEnd(bytes, format) ? plainJpeg(bytes) : undefined
  if (plain || format === 'svg') {
    const { height, width } = plain ?? (await sizeOfSvg(bytes, decoding))
    checkPixels({ height, width }, pixelLimit, 'its header says')
    const heldBytes = plain?.coefficientBytes ?? 0
    return { bytes, size: { height, width }, format, deepWithProfile: false, heldBytes, ...(plain && { plain }) }
  }
  const header = await metadataOf(bytes)
  const { autoOrient, depth, hasProfile } = header
  checkPixels(autoOrient, pixelLimit, 'its header says')
  const heldBytes = autoOrient.height * autoOrient.width * heldPerPixel(header)
  return { bytes, size: autoOrient, format, deepWithProfile: depth === 'ushort' && hasProfile, heldBytes }
}

/** Limit on the scans of a JPEG. Programs write up to 13. libvips has no limit; native/image/jpeg.cpp has the same one. */
const mostScans = 100

/** Limit on the pages of a TIFF, of which the first is decoded. */
const mostPages = 10_000

/** HEIC, the format of iPhones, in an ISO media file: HEVC, which the build of libheif from npm does not decode. */
const isHeic = (bytes: Uint8Array): boolean =>
  /^ftyp(he[iv][cmsx]|hev1)/.test(Buffer.from(bytes.subarray(4, 12)).toString('latin1'))

/** The error for an image that sharp does not decode. */
function undecodable(bytes: Uint8Array, reason: string, cause: unknown): VggError {
  return unreadable(
    isHeic(bytes) ? 'it is an HEIC image, which sharp from npm does not decode: convert it to JPEG' : reason,
    cause,
  )
}

/*
 * The messages of libvips are not used: it has one buffer of messages for the whole process, so that images decoded at
 * once may get the message of another image, or none. sharp's error is kept as the cause.
 */
async function metadataOf(bytes: Uint8Array): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata()
  } catch (error) {
    const unknown = (error as Error).message.includes('unsupported image format')
    throw undecodable(bytes, unknown ? 'it is no image of a known format' : 'its header is damaged or cut off', error)
  }
}

function checkPixels({ height, width }: PixelSize, pixelLimit: number, source: string): void {
  if (height * width <= pixelLimit) return
  throw unreadable(`${source} ${height}x${width} pixels, more than the limit of ${pixelLimit}`)
}

/** Bytes at the end of a file in which its end mark is searched; some programs write bytes after it. */
const tail = 4096
const endMarks: Readonly<Record<string, Buffer>> = { jpeg: Buffer.of(0xff, 0xd9), png: Buffer.from('IEND') }

/** Whether an image has the end mark of its format; undefined if the format has none. */
function hasEnd(bytes: Uint8Array, format: string): boolean | undefined {
  const mark = endMarks[format]
  return mark && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(-tail).includes(mark)
}

/**
 * Decodes a crop of an image: the image is rescaled to the size of the box, and the crop is taken from it.
 *
 * Plain JPEGs are decoded by libjpeg-turbo: only the part that the crop needs, at 1/2, 1/4 or 1/8 of the size where the
 * scale allows it. Other images, and JPEGs that libjpeg-turbo rejects, are decoded by sharp at full size: rotated upright,
 * converted to sRGB by their profile, composed on black, and reduced to 8 bits (16 bits are divided, not clipped). CMYK
 * is converted by its profile, or by libvips' press profile if it has none. Pillow and torchvision ignore profiles
 * (red = 255 - cyan - black) and give more saturated colours.
 *
 * Both are rescaled by the same native code with a triangle kernel widened to the scale (bilinear with antialiasing, as in
 * Pillow and torchvision): a lossless image gives the same bytes in every format. An SVG is rendered at the size of the
 * box in a separate process.
 *
 * @param into uint8 [height, width, channels] of the crop; left unchanged if decoding fails
 * @returns `into`
 * @throws VggError FILE_FORMAT, whose message is the bare reason
 */
export async function decodeCrop(
  image: Image,
  box: Omit<CropBox, 'smallestSide'>,
  crop: CropSpec,
  decoding: Decoding,
  into: Uint8Array = new Uint8Array(crop.height * crop.width * crop.channels),
): Promise<Uint8Array> {
  // An image of 1x16000 has 10^9 pixels at S = 256.
  checkPixels(box, decoding.pixelLimit, 'rescaled it would have')
  const { plain, bytes, format, size, heldBytes } = image
  const { decodeBytes } = decoding
  const hold = <T>(pixelBytes: number, decode: () => Promise<T>): Promise<T> => {
    const taken = bytes.length + heldBytes + pixelBytes
    checkMemory('decoding it takes', taken, decodeBytes)
    return budgets.decoding.hold(taken, decodeBytes, decode)
  }
  if (plain && plain.components <= crop.channels) {
    const call = { bytes, source: size, box, crop, into, memoryLimit: decodeBytes + libraryBytes }
    if (await hold(scaledBytes(size, box, crop), () => isDecoded(native().decodeJpeg(call)))) return into
    // Throws the more exact error if the header is damaged.
    await metadataOf(bytes)
  }
  await hold(size.height * size.width * crop.channels, async () => {
    if (format === 'svg') return into.set(await drawSvg(bytes, box, crop, decoding))
    const pixels = await pixelsBySharp(image, crop.channels, decoding)
    await native().rescale({ pixels, source: size, box, crop, into })
  })
  return into
}

/** Allowance for what libjpeg-turbo allocates besides coefficients: tables, and rows of pixels. */
const libraryBytes = 2 ** 24

/** Whether libjpeg-turbo decodes an image. @throws all errors but FILE_FORMAT */
const isDecoded = (decoded: Promise<void>): Promise<boolean> =>
  decoded.then(
    () => true,
    (error) => {
      if (error instanceof VggError && error.code === 'FILE_FORMAT') return false
      throw error
    },
  )

/** Decodes a whole image, upright and at full size: uint8 [height, width, channels]. */
async function pixelsBySharp(image: Image, channels: 1 | 3, decoding: Decoding): Promise<Uint8Array> {
  const { bytes, format, size, deepWithProfile } = image
  const { pixelLimit, decodeSeconds } = decoding
  const started = performance.now()
  try {
    const pipeline = sharp(bytes, { failOn: 'error', autoOrient: true, limitInputPixels: pixelLimit })
    // A hazard of sharp: it converts 16 bits with a profile to Display P3 first, which makes the sRGB result paler.
    if (deepWithProfile) pipeline.pipelineColourspace('srgb')
    const { data, info } = await pipeline
      .timeout({ seconds: decodeSeconds })
      .flatten({ background: '#000' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels === channels && info.height === size.height && info.width === size.width) return data
    const expected = `${size.height}x${size.width}x${channels}`
    throw unreadable(
      `decoding it gave ${info.height}x${info.width}x${info.channels} values instead of the expected ${expected}`,
    )
  } catch (error) {
    if (error instanceof VggError) throw error
    if (performance.now() - started >= 1000 * decodeSeconds) throw tooSlow(decodeSeconds, error)
    const truncated = hasEnd(bytes, format) === false
    throw undecodable(
      bytes,
      truncated
        ? 'it is truncated, its end is missing: copy or download it again'
        : 'it is damaged, decoding it failed',
      error,
    )
  }
}
