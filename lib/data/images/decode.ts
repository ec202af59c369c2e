import { readFile, stat } from 'node:fs/promises'
import sharp, { type Metadata } from 'sharp'
import { VggError } from '../../error.js'
import { native } from '../../platform/native.js'
import type { CropBox, CropSpec, PixelSize } from './crop.js'
import { type Decoding, formatOf, type ImageFormat, tooSlow, unreadable } from './formats.js'
import { type JpegHeader, plainJpeg } from './jpeg.js'
import { drawSvg, sizeOfSvg } from './svg.js'

/** Where the bytes of an image file come from: its path, the bytes themselves, or a function that gives them. */
export type PhotoSource = string | Uint8Array | (() => Promise<Uint8Array>)

/** An image file in memory, its header read. */
export interface Image {
  /** As the file has them, still packed. */
  readonly bytes: Uint8Array
  /** Turned upright as its EXIF says: of an image that lies on its side, height and width are exchanged already. */
  readonly size: PixelSize
  readonly format: ImageFormat
  /** 16 bits a channel, with a colour profile. */
  readonly deepWithProfile: boolean
  /** Of a JPEG that libjpeg-turbo decodes here by itself: whole, upright, in grey or RGB without a profile. */
  readonly plain?: JpegHeader
}

/** Not the file's fault: to pass over the image would lose it for a reason that has gone a moment later. */
const machineFaults = ['EMFILE', 'ENFILE', 'ENOMEM']

/** What belongs to an image besides its pixels: EXIF, profile, thumbnail. */
const headerBytes = 1 << 26

async function fileBytes(path: string, { pixelLimit }: Decoding): Promise<Uint8Array> {
  try {
    // First what it is: to open a pipe would wait for somebody to write to it.
    const entry = await stat(path)
    if (!entry.isFile()) throw unreadable(entry.isDirectory() ? 'it is a folder' : 'it is no regular file')
    const most = pixelLimit * 8 + headerBytes
    if (entry.size > most) {
      throw unreadable(`it has ${entry.size} bytes, more than an image of ${pixelLimit} pixels can need`)
    }
    return await readFile(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (machineFaults.includes(code)) throw new VggError('STATE', `Could not read ${path}: ${code}`, { cause: error })
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new VggError('FILE_NOT_FOUND', 'no such file', { cause: error })
    throw error instanceof VggError ? error : unreadable(`reading it failed: ${(error as Error).message}`, error)
  }
}

/**
 * The bytes of an image file.
 *
 * @throws VggError FILE_NOT_FOUND or FILE_FORMAT, whose message is the bare reason; STATE where the machine is at fault
 *   (too many open files), not the image
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
  if (!(bytes instanceof Uint8Array)) throw unreadable('its source gave no bytes')
  return bytes
}

/**
 * Reads an image's header. What it is, is judged by content: the name of its file does not count. libvips sees only
 * what `formats` allows.
 *
 * @throws VggError FILE_FORMAT, whose message is the bare reason
 */
export async function openImage(bytes: Uint8Array, decoding: Decoding): Promise<Image> {
  const { formats, pixelLimit } = decoding
  if (bytes.length === 0) throw unreadable('the file is empty')
  const format = formatOf(bytes)
  if (format === undefined) throw unknownFormat()
  if (!formats.includes(format))
    throw unreadable(`its format is ${format}, and those allowed are ${formats.join(', ')}`)
  const plain = format === 'jpeg' && hasEnd(bytes, format) ? plainJpeg(bytes) : undefined
  if (plain || format === 'svg') {
    const { height, width } = plain ?? (await sizeOfSvg(bytes, decoding))
    checkPixels({ height, width }, pixelLimit, 'its header says')
    return { bytes, size: { height, width }, format, deepWithProfile: false, ...(plain && { plain }) }
  }
  const { autoOrient, depth, hasProfile } = await metadataOf(bytes)
  checkPixels(autoOrient, pixelLimit, 'its header says')
  return { bytes, size: autoOrient, format, deepWithProfile: depth === 'ushort' && hasProfile }
}

const unknownFormat = (cause?: unknown): VggError => unreadable('it is no image of a known format', cause)

/*
 * Why an image cannot be decoded is said in words of our own. libvips has one buffer of messages for the whole
 * process: of images decoded at once, each may get the message of another or none. sharp's is kept as the cause.
 */
async function metadataOf(bytes: Uint8Array): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata()
  } catch (error) {
    const unknown = (error as Error).message.includes('unsupported image format')
    throw unknown ? unknownFormat(error) : unreadable('its header is damaged or cut off', error)
  }
}

function checkPixels({ height, width }: PixelSize, pixelLimit: number, says: string): void {
  if (height * width <= pixelLimit) return
  throw unreadable(`${says} ${height}x${width} pixels, more than the limit of ${pixelLimit}`)
}

/** How near to the end of a file its format's last mark has to be; some programs write a few bytes after it. */
const tail = 4096
const endMarks: Readonly<Record<string, Buffer>> = { jpeg: Buffer.of(0xff, 0xd9), png: Buffer.from('IEND') }

/** Whether an image has the last mark of its format; undefined where the format is not known to have one. */
function hasEnd(bytes: Uint8Array, format: string): boolean | undefined {
  const mark = endMarks[format]
  return mark && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(-tail).includes(mark)
}

/**
 * Decodes one box of an image: rescaled to the box's size, and the crop taken from it.
 *
 * Plain JPEGs are decoded by libjpeg-turbo, no more of them than the crop needs, and halved, quartered or reduced to
 * eighths while they are decoded. What it finds fault with, and everything else, is decoded by sharp at full size: turned
 * upright, converted to sRGB by its profile, laid on black where transparent, brought to 8 bits (16 are divided, not
 * clipped). CMYK is converted by its profile, or by libvips' own press profile where it has none, as sharp does; Pillow
 * and torchvision look at no profile (red = 255 - cyan - black), and give more saturated colours.
 *
 * Both are rescaled by the same native code, by a triangle kernel widened to the scale (bilinear with antialiasing, as
 * Pillow and torchvision do): an image without loss gives the same bytes in every format. An SVG is drawn at the box's
 * size by a process of its own.
 *
 * @param into uint8, height x width x channels of the crop; written to where all went well only
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
  // An image of 1x16000 at S = 256 has a thousand million pixels.
  checkPixels(box, decoding.pixelLimit, 'rescaled it would have')
  const { plain, bytes, format, size } = image
  if (plain && plain.components <= crop.channels) {
    try {
      await native().decodeJpeg({ bytes, source: size, box, crop, into })
      return into
    } catch (error) {
      if (!(error instanceof VggError && error.code === 'FILE_FORMAT')) throw error
    }
    // For its words, where its header is damaged.
    await metadataOf(bytes)
  }
  if (format === 'svg') into.set(await drawSvg(bytes, box, crop, decoding))
  else {
    const pixels = await pixelsBySharp(image, crop.channels, decoding)
    await native().rescale({ pixels, source: size, box, crop, into })
  }
  return into
}

/** All pixels of an image, upright and in its own size: uint8, height x width x channels. */
async function pixelsBySharp(image: Image, channels: 1 | 3, decoding: Decoding): Promise<Uint8Array> {
  const { bytes, format, size, deepWithProfile } = image
  const { pixelLimit, decodeSeconds } = decoding
  const started = performance.now()
  try {
    const pipeline = sharp(bytes, { failOn: 'error', autoOrient: true, limitInputPixels: pixelLimit })
    // A hazard of sharp: it takes 16 bits with a profile to Display P3, and what is made sRGB of that is paler.
    if (deepWithProfile) pipeline.pipelineColourspace('srgb')
    const { data, info } = await pipeline
      .timeout({ seconds: decodeSeconds })
      .flatten({ background: '#000' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels === channels && info.height === size.height && info.width === size.width) return data
    const said = `${size.height}x${size.width}x${channels}`
    throw unreadable(
      `decoding it gave ${info.height}x${info.width}x${info.channels} values where ${said} were expected`,
    )
  } catch (error) {
    if (error instanceof VggError) throw error
    if (performance.now() - started >= 1000 * decodeSeconds) throw tooSlow(decodeSeconds, error)
    const truncated = hasEnd(bytes, format) === false
    throw unreadable(truncated ? 'it is truncated: its end is missing' : 'it is damaged, decoding it failed', error)
  }
}
