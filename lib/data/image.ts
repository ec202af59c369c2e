import { access } from 'node:fs/promises'
import sharp from 'sharp'
import { VggError } from '../error.js'

/** The size and channels that a network takes. */
export interface ImageSize {
  height: number
  width: number
  /** 1: grey; 3: red, green, blue. */
  channels: 1 | 3
}

/**
 * Decodes a picture file (PNG, JPEG, WebP, GIF, AVIF, TIFF, SVG) as a network takes it: rescaled with its proportions
 * kept, so that it just covers the size, and the middle cut out. Never squashed. Turned as its EXIF says;
 * transparent parts become black.
 *
 * @param source path of a file, or its bytes
 * @returns uint8, height x width x channels
 * @throws VggError FILE_NOT_FOUND, or FILE_FORMAT where it is no picture or a damaged one
 */
export async function readImage(source: string | Uint8Array, size: ImageSize): Promise<Uint8Array> {
  const name = typeof source === 'string' ? source : 'the picture'
  if (typeof source === 'string') await checkThere(source)
  try {
    const picture = sharp(source, { failOn: 'error', autoOrient: true })
      .flatten({ background: '#000' })
      .resize(size.width, size.height, { fit: 'cover', position: 'centre' })
      .toColourspace(size.channels === 1 ? 'b-w' : 'srgb')
    const { data, info } = await picture.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.channels !== size.channels) {
      throw new VggError('INTERNAL', `Expected ${size.channels} channels of ${name} but decoding gave ${info.channels}`)
    }
    return new Uint8Array(data)
  } catch (error) {
    if (error instanceof VggError) throw error
    const reason = (error as Error).message.split('\n')[0]
    throw new VggError('FILE_FORMAT', `Expected a picture for ${name} but decoding it failed: ${reason}`, {
      cause: error,
    })
  }
}

async function checkThere(path: string): Promise<void> {
  try {
    await access(path)
  } catch (error) {
    throw new VggError('FILE_NOT_FOUND', `No file at ${path}`, { cause: error })
  }
}
