import { readFile, stat } from 'node:fs/promises'
import sharp, { type Metadata } from 'sharp'
import { VggError } from '../error.js'
import { native } from '../native/native.js'
import { type JpegHeader, plainJpeg } from './jpeg.js'
import type { PictureSize, View } from './view.js'

/** Where the bytes of a picture file come from: its path, the bytes themselves, or a function that gives them. */
export type PhotoSource = string | Uint8Array | (() => Promise<Uint8Array>)

/** The pixels that a picture may have unless told otherwise: 16383 x 16383, sharp's own limit. */
export const defaultPixelLimit = 268_402_689

/** A picture file in memory, its header read. */
export interface Picture {
  /** As the file has them, still packed. */
  readonly bytes: Uint8Array
  /** Turned upright as its EXIF says: of a picture that lies on its side, height and width are exchanged already. */
  readonly size: PictureSize
  readonly format: string
  /** 16 bits a channel, with a colour profile. */
  readonly deepWithProfile: boolean
  /** Of a JPEG that libjpeg-turbo decodes here by itself: whole, upright, in grey or RGB without a profile. */
  readonly plain?: JpegHeader
}

/** What is cut out of a rescaled picture. */
export interface Cut extends PictureSize {
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3
}

/** Not the file's fault: to pass over the picture would lose it for a reason that has gone a moment later. */
const machineFaults = ['EMFILE', 'ENFILE', 'ENOMEM']

/** What belongs to a picture besides its pixels: EXIF, profile, thumbnail. */
const headerBytes = 1 << 26

const damaged = (reason: string, cause?: unknown): VggError => new VggError('FILE_FORMAT', reason, { cause })

async function fileBytes(path: string, pixelLimit: number): Promise<Uint8Array> {
  try {
    // First what it is: to open a pipe would wait for somebody to write to it.
    const entry = await stat(path)
    if (!entry.isFile()) throw damaged(entry.isDirectory() ? 'it is a folder' : 'it is no regular file')
    const most = pixelLimit * 8 + headerBytes
    if (entry.size > most) {
      throw damaged(`it has ${entry.size} bytes, more than a picture of ${pixelLimit} pixels can need`)
    }
    return await readFile(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (machineFaults.includes(code)) throw new VggError('STATE', `Could not read ${path}: ${code}`, { cause: error })
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new VggError('FILE_NOT_FOUND', 'no such file', { cause: error })
    throw error instanceof VggError ? error : damaged(`reading it failed: ${(error as Error).message}`, error)
  }
}

/**
 * The bytes of a picture file.
 *
 * @throws VggError FILE_NOT_FOUND or FILE_FORMAT, whose message is the bare reason; STATE where the machine is at fault
 *   (too many open files), not the picture
 */
export async function pictureBytes(source: PhotoSource, pixelLimit: number): Promise<Uint8Array> {
  if (typeof source === 'string') return fileBytes(source, pixelLimit)
  if (typeof source !== 'function') return source
  let bytes: unknown
  try {
    bytes = await source()
  } catch (error) {
    if (error instanceof VggError) throw error
    throw damaged(`its source failed: ${(error as Error)?.message ?? error}`, error)
  }
  if (!(bytes instanceof Uint8Array)) throw damaged('its source gave no bytes')
  return bytes
}

/**
 * Reads a picture's header. What it is, is judged by content: the name of its file does not count.
 *
 * @param pixelLimit height times width at most; judged by the header, before anything is unpacked
 * @throws VggError FILE_FORMAT, whose message is the bare reason
 */
export async function openPicture(bytes: Uint8Array, pixelLimit: number): Promise<Picture> {
  if (bytes.length === 0) throw damaged('the file is empty')
  const plain = plainJpeg(bytes)
  if (plain && hasEnd(bytes, 'jpeg')) {
    const { height, width } = plain
    checkPixels(plain, pixelLimit, 'its header says')
    return { bytes, size: { height, width }, format: 'jpeg', deepWithProfile: false, plain }
  }
  const { format, autoOrient, depth, hasProfile } = await metadataOf(bytes)
  checkPixels(autoOrient, pixelLimit, 'its header says')
  return { bytes, size: autoOrient, format, deepWithProfile: depth === 'ushort' && hasProfile }
}

/*
 * Why a picture cannot be decoded is said in words of our own. libvips has one buffer of messages for the whole
 * process: of pictures decoded at once, each may get the message of another or none. sharp's is kept as the cause.
 */
async function metadataOf(bytes: Uint8Array): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata()
  } catch (error) {
    const unknown = (error as Error).message.includes('unsupported image format')
    throw damaged(unknown ? 'it is no picture of a known format' : 'its header is damaged or cut off', error)
  }
}

function checkPixels({ height, width }: PictureSize, pixelLimit: number, says: string): void {
  if (height * width <= pixelLimit) return
  throw damaged(`${says} ${height}x${width} pixels, more than the limit of ${pixelLimit}`)
}

/** How near to the end of a file its format's last mark has to be; some programs leave a few bytes behind it. */
const tail = 4096
const endMarks: Readonly<Record<string, Buffer>> = { jpeg: Buffer.of(0xff, 0xd9), png: Buffer.from('IEND') }

/** Whether a picture has the last mark of its format; undefined where the format is not known to have one. */
function hasEnd(bytes: Uint8Array, format: string): boolean | undefined {
  const mark = endMarks[format]
  return mark && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(-tail).includes(mark)
}

/**
 * Decodes one view of a picture: rescaled to the view's size, and the cut taken from it.
 *
 * Plain JPEGs are decoded by libjpeg-turbo, no more of them than the cut needs, and rescaled by native code. What it
 * finds fault with, and everything else, is sharp's. Both give the same picture to a level or two; but where sharp
 * enlarges, or shrinks to less than a fifth, its picture lies up to half a pixel aside.
 *
 * sharp, in one pipeline: turned upright, converted to sRGB by its profile (CMYK without one as its press profile says),
 * laid on black where transparent, rescaled by a triangle kernel widened to the scale (bilinear with antialiasing, as
 * Pillow and torchvision do), cut, brought to 8 bits (16 are divided, not clipped). A JPEG that is to be halved or
 * more is halved by libjpeg while it decodes. Only the rows down to the end of the cut are decoded, unless the end of
 * the file is in doubt.
 *
 * @param into uint8, height x width x channels of the cut; written to where all went well only
 * @returns `into`
 * @throws VggError FILE_FORMAT, whose message is the bare reason
 */
export async function decodeView(
  picture: Picture,
  view: Omit<View, 'smallestSide'>,
  cut: Cut,
  pixelLimit: number,
  into: Uint8Array = new Uint8Array(cut.height * cut.width * cut.channels),
): Promise<Uint8Array> {
  // A picture of 1x16000 at S = 256 has a thousand million pixels.
  checkPixels(view, pixelLimit, 'rescaled it would have')
  const { plain, bytes } = picture
  if (plain && plain.components <= cut.channels) {
    try {
      await native().decodeJpeg({ bytes, source: picture.size, view, cut, into })
      return into
    } catch (error) {
      if (!(error instanceof VggError && error.code === 'FILE_FORMAT')) throw error
    }
    // For its words, where its header is damaged.
    await metadataOf(bytes)
  }
  into.set(await decodedBySharp(picture, view, cut, pixelLimit))
  return into
}

async function decodedBySharp(
  picture: Picture,
  view: Omit<View, 'smallestSide'>,
  cut: Cut,
  pixelLimit: number,
): Promise<Uint8Array> {
  const ends = hasEnd(picture.bytes, picture.format)
  // sharp stops decoding below the cut: one and the same truncated file would be readable or not as the cut fell.
  // (WebP's header says how long the file is.)
  const whole = ends !== true && picture.format !== 'webp'
  const taken = whole ? { ...view, top: 0, left: 0 } : { left: view.left, top: view.top, ...sizeOf(cut) }
  try {
    const pipeline = sharp(picture.bytes, { failOn: 'error', autoOrient: true, limitInputPixels: pixelLimit })
    // A hazard of sharp: it takes 16 bits with a profile to Display P3, and what is made sRGB of that is paler.
    if (picture.deepWithProfile) pipeline.pipelineColourspace('srgb')
    const { data, info } = await pipeline
      .flatten({ background: '#000' })
      .resize(view.width, view.height, { fit: 'fill', kernel: 'linear' })
      .extract({ left: taken.left, top: taken.top, ...sizeOf(taken) })
      .toColourspace(cut.channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels !== cut.channels) {
      throw new VggError('INTERNAL', `Expected ${cut.channels} channels but decoding gave ${info.channels}`)
    }
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length)
    return whole ? cutOut(pixels, view, cut) : pixels
  } catch (error) {
    if (error instanceof VggError) throw error
    throw damaged(ends === false ? 'it is truncated: its end is missing' : 'it is damaged, decoding it failed', error)
  }
}

const sizeOf = ({ height, width }: PictureSize) => ({ height, width })

/** The cut of a rescaled picture that was decoded whole. */
function cutOut(pixels: Uint8Array, view: Omit<View, 'smallestSide'>, cut: Cut): Uint8Array {
  const rowBytes = cut.width * cut.channels
  const taken = new Uint8Array(cut.height * rowBytes)
  for (let row = 0; row < cut.height; row++) {
    const start = ((view.top + row) * view.width + view.left) * cut.channels
    taken.set(pixels.subarray(start, start + rowBytes), row * rowBytes)
  }
  return taken
}
