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
 * A format of image files. `heif` means AVIF, and HEIC if the installed build of sharp decodes it (the build from npm does
 * not).
 */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'heif' | 'svg'

const startsWith =
  (...beginnings: readonly string[]) =>
  (head: string): boolean =>
    beginnings.some((beginning) => head.startsWith(beginning))

/*
 * How each format is recognised by the first bytes of a file, as Latin-1 text. libvips chooses its decoder by its own
 * rules. These are at least as strict: a file recognised here as another format is never SVG to libvips, which requires
 * 24 bytes of ASCII text at the start. An ISO media file begins with a size whose first two bytes are 0.
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

/** Without SVG, because a file of some hundred bytes can take hours to render. */
const defaultFormats: readonly ImageFormat[] = allFormats.filter((format) => format !== 'svg')

/** Bytes in which a signature is searched. libvips searches `<svg` in as many. */
const headBytes = 1000

/** Recognises the format of an image file by its content; undefined if it is unknown. */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headBytes)).toString('latin1')
  return allFormats.find((format) => signatures[format](head))
}

/** Limits on image files. A file beyond a limit counts as unreadable. */
export interface DecodingOptions {
  /**
   * The formats allowed, recognised by content, not by name. Default: all but `svg`. Each SVG is rendered in a separate
   * process, which takes 0.1 s longer and is killed after `decodeSeconds`.
   */
  formats?: readonly ImageFormat[]
  /**
   * Largest number of pixels (height times width) of an image, before and after rescaling. It is checked against the
   * header before decoding. Decoding takes 3 to 8 bytes of memory per pixel, 18 for AVIF. Default 268402689, as in sharp.
   */
  pixelLimit?: number
  /**
   * Time limit for decoding one image in seconds, an integer from 1 to 3600. Default 30. It is checked between parts of
   * an image. A WebP, AVIF, GIF, interlaced PNG or progressive JPEG is one part and may take longer; plain JPEGs, which
   * libjpeg-turbo decodes, are not timed. `pixelLimit` bounds these.
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

/** The default decoding options. */
export const defaultDecoding: Decoding = readOptions({}, 'decoding options', decodingChecks)

/** The error for an image file that cannot be read. Its message is the bare reason; the caller adds the name. */
export const unreadable = (reason: string, cause?: unknown): VggError => new VggError('FILE_FORMAT', reason, { cause })

/** The error for an image that takes too long to decode. */
export const tooSlow = (seconds: number, cause?: unknown): VggError =>
  unreadable(`decoding it took longer than the limit of ${seconds} s`, cause)
