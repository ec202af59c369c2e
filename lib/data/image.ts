import { VggError } from '../error.js'
import { type Check, integer, readOptions } from '../options.js'
import { channelsCheck } from './dataset.js'
import { type Cut, decodeView, defaultPixelLimit, openPicture, pictureBytes } from './decode.js'
import { centreView, type PictureSize, type View, viewOptionsFrom } from './view.js'

/** The size and channels that a network takes. */
export interface ImageSize {
  /** In pixels. */
  height: number
  /** In pixels. */
  width: number
  /** 1: grey; 3: red, green, blue. */
  channels: 1 | 3
}

/** How a single picture is brought to a network's size. */
export interface ImageOptions {
  /**
   * The picture's smallest side is rescaled to this (the paper's Q), at least the larger side of the size, and the
   * middle is cut out. Default: as small as just covers the size.
   */
  smallestSide?: number
}

const side = integer(1, 65535)

/** Read by viewOptionsFrom afterwards. */
const asGiven: Check<unknown> = (value) => value
const checks = { smallestSide: asGiven }

/** As small as covers the size, and the middle of it. */
function coveringView(size: PictureSize, { height, width }: PictureSize): Omit<View, 'smallestSide'> {
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
 * Decodes a picture file (PNG, JPEG, WebP, GIF, AVIF, TIFF, SVG) as a network takes it: rescaled with its proportions
 * kept, so that it just covers the size or as `smallestSide` says, and the middle cut out. Never squashed. Turned as
 * its EXIF says; transparent parts become black.
 *
 * @param source path of a file, or its bytes
 * @returns uint8, height x width x channels
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT where it is no picture or a damaged one, INVALID_ARGUMENT
 */
export async function readImage(
  source: string | Uint8Array,
  size: ImageSize,
  options: ImageOptions = {},
): Promise<Uint8Array> {
  const [height, width] = [side(size.height, 'height'), side(size.width, 'width')]
  const channels = channelsCheck(size.channels, 'channels')
  const { smallestSide } = readOptions(options, 'readImage options', checks)
  const scaled = smallestSide === undefined ? undefined : viewOptionsFrom({ crop: [height, width], smallestSide })
  const cut: Cut = { height, width, channels }
  const name = typeof source === 'string' ? source : 'the picture'
  try {
    const picture = await openPicture(await pictureBytes(source, defaultPixelLimit), defaultPixelLimit)
    const view = scaled === undefined ? coveringView(picture.size, cut) : centreView(picture.size, scaled)
    return await decodeView(picture, view, cut, defaultPixelLimit)
  } catch (error) {
    throw namedFault(error, name)
  }
}

/** The bare reason of decode.ts with the picture's name. */
export function namedFault(error: unknown, name: string): unknown {
  if (!(error instanceof VggError)) return error
  if (error.code === 'FILE_NOT_FOUND') return new VggError(error.code, `No file at ${name}`, { cause: error })
  if (error.code !== 'FILE_FORMAT') return error
  return new VggError(error.code, `Expected a picture for ${name} but ${error.message}`, { cause: error })
}
