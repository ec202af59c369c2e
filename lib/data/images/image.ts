import { VggError } from '../../error.js'
import { notFound } from '../../files/not-found.js'
import { type Check, integer, isObject, readOptions, unexpected } from '../../options.js'
import { type CropBox, type CropSpec, centreCropBox, cropOptionsFrom, type PixelSize } from './crop.js'
import { decodeCrop, withImage } from './decode.js'
import { type DecodingOptions, decodingChecks } from './formats.js'

/** The image size that a network takes. */
export interface ImageSize {
  /** Height in pixels. */
  height: number
  /** Width in pixels. */
  width: number
  /** Number of channels: 1 (grey) or 3 (red, green, blue). */
  channels: 1 | 3
}

/** Options of {@link readImage}. */
export interface ImageOptions extends DecodingOptions {
  /**
   * The paper's Q: the length in pixels to which the smallest side of the image is rescaled before the centre crop. At
   * least the larger side of the size. Default: the smallest scale at which the image covers the size.
   */
  smallestSide?: number | undefined
}

/** Checks a number of channels. */
export const channelsCheck: Check<1 | 3> = (value, name) => {
  if (value === 1 || value === 3) return value
  throw unexpected('1 or 3', name, value)
}

const side = integer(1, 65535)

/** Passes a value on, because cropOptionsFrom checks it. */
const unchecked: Check<unknown> = (value) => value
const checks = { smallestSide: unchecked, ...decodingChecks }

/** The centre crop at the smallest scale at which the image covers the size. */
function coveringCropBox(size: PixelSize, { height, width }: PixelSize): Omit<CropBox, 'smallestSide'> {
  const scale = Math.max(height / size.height, width / size.width)
  const covering = {
    height: Math.max(height, Math.round(size.height * scale)),
    width: Math.max(width, Math.round(size.width * scale)),
  }
  return {
    ...covering,
    top: Math.floor((covering.height - height) / 2),
    left: Math.floor((covering.width - width) / 2),
  }
}

/**
 * Decodes an image file (PNG, JPEG, WebP, GIF, AVIF or TIFF; SVG if `formats` contains it) for a network. The image is
 * rescaled without distortion, to the smallest size that covers `size` or as `smallestSide` specifies, and the centre crop
 * is taken. The EXIF orientation is applied. Transparent parts become black. CMYK is converted by its colour profile, or by
 * a press profile if it has none (Pillow ignores profiles). If there are several pages or frames, the first is decoded.
 *
 * @param source the path of the file, or its bytes
 * @returns uint8 [height, width, channels]
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT if it is no image, damaged, or beyond a limit; INVALID_ARGUMENT
 */
export async function readImage(
  source: string | Uint8Array,
  size: ImageSize,
  options: ImageOptions = {},
): Promise<Uint8Array> {
  return readNamed(source, nameOf(source), size, options)
}

/** Reads an image as {@link readImage} does. @param name of the image in messages */
export async function readNamed(
  source: string | Uint8Array,
  name: string,
  size: ImageSize,
  options: ImageOptions,
): Promise<Uint8Array> {
  checkSource(source)
  if (!isObject(size)) throw unexpected('an object { height, width, channels }', 'size', size)
  const [height, width] = [side(size.height, 'height'), side(size.width, 'width')]
  const channels = channelsCheck(size.channels, 'channels')
  const { smallestSide, ...decoding } = readOptions(options, 'readImage options', checks)
  const scaled = smallestSide === undefined ? undefined : cropOptionsFrom({ crop: [height, width], smallestSide })
  const crop: CropSpec = { height, width, channels }
  return named(name, () =>
    withImage(source, decoding, (image) => {
      const box = scaled === undefined ? coveringCropBox(image.size, crop) : centreCropBox(image.size, scaled)
      return decodeCrop(image, box, crop, decoding)
    }),
  )
}

/**
 * Reads the height and width of an image file in pixels from its header. The EXIF orientation is applied.
 *
 * @param source the path of the file, or its bytes
 * @throws VggError the errors of {@link readImage}
 */
export async function readImageSize(
  source: string | Uint8Array,
  options: DecodingOptions = {},
): Promise<Pick<ImageSize, 'height' | 'width'>> {
  checkSource(source)
  const decoding = readOptions(options, 'readImageSize options', decodingChecks)
  return named(nameOf(source), () =>
    withImage(source, decoding, async ({ size: { height, width } }) => ({ height, width })),
  )
}

function checkSource(source: unknown): void {
  if (typeof source === 'string' || source instanceof Uint8Array) return
  const cure = source instanceof ArrayBuffer ? 'write new Uint8Array(source)' : undefined
  throw unexpected('the path of an image or its bytes (Uint8Array)', 'source', source, cure)
}

const nameOf = (source: string | Uint8Array): string => (typeof source === 'string' ? source : 'the image')

async function named<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw namedFault(error, name)
  }
}

/** Adds the name of the image to an error of decode.ts, whose message is the bare reason. */
export function namedFault(error: unknown, name: string): unknown {
  if (!(error instanceof VggError)) return error
  if (error.code === 'FILE_NOT_FOUND') return notFound(`No file at ${name}`, name, error)
  if (error.code !== 'FILE_FORMAT') return error
  return new VggError(error.code, `Expected an image for ${name} but ${error.message}`, { cause: error })
}
