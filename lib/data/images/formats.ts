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
export const headBytes = 1000

/** The first bytes of a file as Latin-1 text. */
const headOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headBytes)).toString('latin1')

const formatIn = (head: string): ImageFormat | undefined => allFormats.find((format) => signatures[format](head))

/** Recognises the format of an image file by its content; undefined if it is unknown. */
export const formatOf = (bytes: Uint8Array): ImageFormat | undefined => formatIn(headOf(bytes))

const imageTexts: Readonly<Record<ImageFormat, string>> = {
  jpeg: 'a JPEG image',
  png: 'a PNG image',
  webp: 'a WebP image',
  gif: 'a GIF image',
  tiff: 'a TIFF image',
  heif: 'an AVIF or HEIC image',
  svg: 'an SVG image',
}

const matches =
  (pattern: RegExp) =>
  (head: string): boolean =>
    pattern.test(head)

/** A zip archive whose first entry has a name with this ending. */
export const zipOf =
  (ending: string) =>
  (head: string): boolean =>
    head.startsWith('PK\x03\x04') && head.slice(30, 30 + head.charCodeAt(26)).endsWith(ending)

const weights = "weights, which 'npx vggnet import FILE --out model.safetensors' converts"
const saveWithKeras = "save it with Keras: model.save_weights('vgg16.weights.h5')"
const undecoded = 'which is not decoded: convert it to PNG or JPEG'

/** Files other than images: what they are and what to do, and how they are recognised by their first bytes. */
const otherContents: readonly (readonly [text: string, is: (head: string) => boolean])[] = [
  ['empty: copy or download it again', (head) => head === ''],
  [
    "a Git LFS pointer instead of the file: 'git lfs pull' fetches the file",
    startsWith('version https://git-lfs.github.com/'),
  ],
  [
    'an HTML page, such as the error page of a download: download the file again',
    matches(/^(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)\b/i),
  ],
  [
    'an XML document, such as the error message of a download: download the file again',
    matches(/^(\xef\xbb\xbf)?\s*<\?xml\b/),
  ],
  [`a PyTorch checkpoint (zip) with ${weights}`, zipOf('/data.pkl')],
  ['a NumPy archive (npz), which is not read: in a program, give its arrays to arrayDataset', zipOf('.npy')],
  ["a zip archive: unpack it first with 'unzip'", startsWith('PK\x03\x04', 'PK\x05\x06')],
  [`a PyTorch checkpoint (pickle) with ${weights}`, startsWith('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20')],
  // A protocol from 2 to 5, and the operation that begins a frame, an integer, a dictionary, a list, a tuple or a class.
  [
    'a Python pickle that torch.save did not write: save tensors with torch.save; of CIFAR, download the binary version',
    (head) =>
      startsWith('\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05')(head) && '\x95\x8a}](c'.includes(head[2] ?? ''),
  ],
  [`an HDF5 file, such as Keras writes for ${weights}`, startsWith('\x89HDF\r\n\x1a\n')],
  ['a NumPy array (npy), which is not read: in a program, give it to arrayDataset', startsWith('\x93NUMPY')],
  // The version of the format, and the name of the program that wrote it or the graph.
  [
    'an ONNX model, which is not read: give the .pth or .safetensors file from which it was exported',
    (head) =>
      head.startsWith('\x08') &&
      head.charCodeAt(1) < 32 &&
      (head[2] === ':' || (head[2] === '\x12' && /^[ -~]{2}/.test(head.slice(4)))),
  ],
  ['a GGUF file, which is not read: give the .safetensors file from which it was converted', startsWith('GGUF')],
  // the first entry of its index is the number of its parts, and begins after three lengths
  [
    `a TensorFlow checkpoint, which is not read: ${saveWithKeras}`,
    (head) =>
      (head.startsWith('\0\0') && head.startsWith('\x08\x01\x1a\x02\x08\x01', 3)) ||
      head.startsWith('model_checkpoint_path: '),
  ],
  ['a safetensors file, the format of models', (head) => head.startsWith('\0\0\0\0', 4) && head.startsWith('{"', 8)],
  [
    "an IDX file: give IDX with '--images FILE --labels FILE'",
    startsWith('\0\0\x08\x01', '\0\0\x08\x03', '\0\0\x08\x04'),
  ],
  ['compressed with gzip: unpack it first (gunzip, or tar -xzf)', startsWith('\x1f\x8b')],
  ['compressed with bzip2, xz or zstd: unpack it first', startsWith('BZh', '\xfd7zXZ\0', '\x28\xb5\x2f\xfd')],
  ["a tar archive: unpack it first with 'tar -xf'", (head) => head.startsWith('ustar', 257)],
  ['a PDF document', startsWith('%PDF-')],
  [`a BMP image, ${undecoded}`, (head) => head.startsWith('BM') && head.startsWith('\0\0\0\0', 6)],
  [`a PNM image, ${undecoded}`, matches(/^P[1-7]\s/)],
  [`a JPEG XL image, ${undecoded}`, startsWith('\xff\x0a', '\0\0\0\x0cJXL ')],
  [`a JPEG 2000 image, ${undecoded}`, startsWith('\xff\x4f\xff\x51', '\0\0\0\x0cjP  ')],
  ['text in UTF-16: save it in UTF-8', startsWith('\xff\xfe', '\xfe\xff')],
  ['JSON', (head) => isText(head) && /^\s*(\{\s*["}]|\[\s*[[{"\d])/.test(head)],
  ['text', isText],
]

/** Whether there is no control character besides tab and line ends. Bytes of UTF-8 from 0x80 on are no such characters. */
function isText(head: string): boolean {
  return !/[^\P{Cc}\t\n\r\x7f-\x9f]/u.test(head)
}

/**
 * Describes the content of a file by its first bytes (1000, or all), and what to do with it, as the end of a sentence that
 * begins with 'it is': `an HTML page, ...: download the file again`; undefined if it is unknown.
 */
export function contentText(bytes: Uint8Array): string | undefined {
  const head = headOf(bytes)
  const format = formatIn(head)
  return format ? imageTexts[format] : otherContents.find(([, is]) => is(head))?.[0]
}

/** Limits on image files. A file beyond a limit counts as unreadable. */
export interface DecodingOptions {
  /**
   * The formats allowed, recognised by content, not by name. Default: all but `svg`. Each SVG is rendered in a separate
   * process, which takes 0.1 s longer and is killed after `decodeSeconds`.
   */
  formats?: readonly ImageFormat[] | undefined
  /**
   * Largest number of pixels (height times width) of an image, before and after rescaling. It is checked against the
   * header before decoding. Default 268402689, as in sharp.
   */
  pixelLimit?: number | undefined
  /**
   * Time limit for decoding one image in seconds, an integer from 1 to 3600. Default 30. It is checked between parts of
   * an image. A WebP, AVIF, GIF, interlaced PNG or progressive JPEG is one part and may take longer; plain JPEGs, which
   * libjpeg-turbo decodes, are not timed. `pixelLimit` bounds these.
   */
  decodeSeconds?: number | undefined
  /**
   * Limit in bytes on the memory of all images that a thread decodes at once, of all its datasets; other images wait. An
   * image that alone takes more, estimated from its header, is unreadable. Encoded files are limited by the same number
   * beside it. Default 2^31, which is 8 bytes for each pixel of the default `pixelLimit`.
   */
  decodeBytes?: number | undefined
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
  decodeBytes: withDefault(integer(2 ** 20), 2 ** 31),
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
