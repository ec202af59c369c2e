import { VggError } from '../../error.js'
import {
  arrayOf,
  type Check,
  type Checked,
  integer,
  oneOf,
  readOptions,
  unexpected,
  withDefault,
} from '../../options.js'

/**
 * A format of image files. `heif` is AVIF; HEIC too where the build of sharp in use decodes it, which the one from npm
 * does not.
 */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'heif' | 'svg'

const startsWith =
  (...beginnings: readonly string[]) =>
  (head: string): boolean =>
    beginnings.some((beginning) => head.startsWith(beginning))

/*
 * How each format is recognised by the first bytes of a file, as Latin-1 text. libvips picks its decoder by rules of its
 * own, so these are at least as strict: a file that they take for another format than SVG is never SVG to libvips, which
 * wants 24 bytes of ASCII text first. In an ISO media file these begin with its size, whose first two bytes are 0.
 */
const signatures: Readonly<Record<ImageFormat, (head: string) => boolean>> = {
  jpeg: startsWith('\xff\xd8'),
  png: startsWith('\x89PNG\r\n\x1a\n'),
  webp: (head) => head.startsWith('RIFF') && head.startsWith('WEBP', 8),
  gif: startsWith('GIF87a', 'GIF89a'),
  tiff: startsWith('II*\0', 'MM\0*', 'II+\0', 'MM\0+'),
  heif: (head) => head.startsWith('\0\0') && head.startsWith('ftyp', 4),
  svg: (head) => /^[\t-~]{24}/.test(head) && /<svg/i.test(head),
}

const allFormats = Object.keys(signatures) as ImageFormat[]

/** SVG only when asked for: a few hundred bytes of it can describe hours of drawing. */
const defaultFormats: readonly ImageFormat[] = allFormats.filter((format) => format !== 'svg')

/** In it the signature lies. libvips looks for `<svg` in as many bytes. */
const headBytes = 1000

/** The format of an image file by its content; undefined where it is none of those known. */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headBytes)).toString('latin1')
  return allFormats.find((format) => signatures[format](head))
}

/** What image files may be and cost. A file beyond it counts as one that cannot be read. */
export interface DecodingOptions {
  /**
   * Formats that are decoded, recognised by content, not by name. Default: all but `svg`. An SVG is drawn by a process of
   * its own for each image, which takes a tenth of a second more, and is killed after `decodeSeconds`.
   */
  formats?: readonly ImageFormat[]
  /**
   * Height times width of the largest image, before and after rescaling; checked by the header, before anything is
   * decoded. While it is decoded an image takes 3 to 8 bytes a pixel, an AVIF 18. Default 268402689, as in sharp.
   */
  pixelLimit?: number
  /**
   * Seconds that decoding one image may take, an integer from 1 to 3600. Default 30. Decoding is stopped between parts
   * of an image: a WebP, AVIF, GIF, interlaced PNG or progressive JPEG is decoded in one part, so that it ends later, and
   * a JPEG that libjpeg-turbo decodes by itself is not timed; `pixelLimit` bounds these.
   */
  decodeSeconds?: number
}

const formatsCheck: Check<readonly ImageFormat[]> = (value, name) => {
  const formats = arrayOf(oneOf(...allFormats))(value, name)
  if (formats.length === 0) throw unexpected('at least one format', name, value)
  return formats
}

/** Checks of {@link DecodingOptions}. */
export const decodingChecks = {
  formats: withDefault(formatsCheck, defaultFormats),
  pixelLimit: withDefault(integer(1), 268_402_689),
  decodeSeconds: withDefault(integer(1, 3600), 30),
}

/** {@link DecodingOptions} as read. */
export type Decoding = Readonly<Checked<typeof decodingChecks>>

/** What applies where nothing is asked for. */
export const defaultDecoding: Decoding = readOptions({}, 'decoding options', decodingChecks)

/** The error for an image file that cannot be read. Its message is the bare reason; the caller adds the name. */
export const unreadable = (reason: string, cause?: unknown): VggError => new VggError('FILE_FORMAT', reason, { cause })

/** The error for an image that takes too long to decode. */
export const tooSlow = (seconds: number, cause?: unknown): VggError =>
  unreadable(`decoding it took longer than the limit of ${seconds} s`, cause)
