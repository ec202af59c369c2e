import { VggError } from '../../error.js'
import { type Check, integer, readOptions, unexpected } from '../../options.js'
import { type CropBox, type CropSpec, centreCropBox, cropOptionsFrom, type PixelSize } from './crop.js'
import { decodeCrop, encodedBytes, openImage } from './decode.js'
import { type DecodingOptions, decodingChecks } from './formats.js'

/** The size and channels that a network takes. */
export interface ImageSize {
  /** In pixels. */
  height: number
  /** In pixels. */
  width: number
  /** 1: grey; 3: red, green, blue. */
  channels: 1 | 3
}

/** How an image is read and brought to a network's size. */
export interface ImageOptions extends DecodingOptions {
  /**
   * The image's smallest side is rescaled to this (the paper's Q), at least the larger side of the size, and the
   * middle is cut out. Default: as small as just covers the size.
   */
  smallestSide?: number
}

/** The check of the channels of images. */
export const channelsCheck: Check<1 | 3> = (value, name) => {
  if (value === 1 || value === 3) return value
  throw unexpected('1 or 3', name, value)
}

const side = integer(1, 65535)

/** Read by cropOptionsFrom afterwards. */
const asGiven: Check<unknown> = (value) => value
const checks = { smallestSide: asGiven, ...decodingChecks }

/** As small as covers the size, and the middle of it. */
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
 * Decodes an image file (PNG, JPEG, WebP, GIF, AVIF, TIFF; SVG where `formats` has it) as a network takes it: rescaled
 * with its proportions kept, so that it just covers the size or as `smallestSide` says, and the middle cut out. Never
 * squashed. Turned as its EXIF says; transparent parts become black; CMYK is converted by its colour profile, or a press
 * profile where it has none (Pillow looks at no profile). Of several pages or frames the first is taken.
 *
 * @param source path of a file, or its bytes
 * @returns uint8, height x width x channels
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT where it is no image, a damaged one, or beyond a limit; INVALID_ARGUMENT
 */
export async function readImage(
  source: string | Uint8Array,
  size: ImageSize,
  options: ImageOptions = {},
): Promise<Uint8Array> {
  const [height, width] = [side(size.height, 'height'), side(size.width, 'width')]
  const channels = channelsCheck(size.channels, 'channels')
  const { smallestSide, ...decoding } = readOptions(options, 'readImage options', checks)
  const scaled = smallestSide === undefined ? undefined : cropOptionsFrom({ crop: [height, width], smallestSide })
  const crop: CropSpec = { height, width, channels }
  return named(source, async () => {
    const image = await openImage(await encodedBytes(source, decoding), decoding)
    const box = scaled === undefined ? coveringCropBox(image.size, crop) : centreCropBox(image.size, scaled)
    return decodeCrop(image, box, crop, decoding)
  })
}

/**
 * The height and width of an image file in pixels, turned as its EXIF says. Nothing but its header is read.
 *
 * @param source path of a file, or its bytes
 * @throws VggError as {@link readImage} does
 */
export async function readImageSize(
  source: string | Uint8Array,
  options: DecodingOptions = {},
): Promise<Pick<ImageSize, 'height' | 'width'>> {
  const decoding = readOptions(options, 'readImageSize options', decodingChecks)
  return named(source, async () => {
    const { height, width } = (await openImage(await encodedBytes(source, decoding), decoding)).size
    return { height, width }
  })
}

async function named<T>(source: string | Uint8Array, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw namedFault(error, typeof source === 'string' ? source : 'the image')
  }
}

/** The bare reason of decode.ts with the image's name. */
export function namedFault(error: unknown, name: string): unknown {
  if (!(error instanceof VggError)) return error
  if (error.code === 'FILE_NOT_FOUND') return new VggError(error.code, `No file at ${name}`, { cause: error })
  if (error.code !== 'FILE_FORMAT') return error
  return new VggError(error.code, `Expected an image for ${name} but ${error.message}`, { cause: error })
}
