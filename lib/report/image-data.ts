import sharp from 'sharp'
import type { Tensor } from '../tensor.js'
import { valuesOf } from '../tensor.js'

/** An image inside a page. */
export interface EmbeddedImage {
  /** `data:image/png;base64,...` */
  readonly uri: string
  readonly width: number
  readonly height: number
}

/** Below this an image is shown enlarged, and JPEG would blur what there is to see. */
const small = 96

/**
 * Pixels as an image in a page: PNG where it is small, JPEG elsewhere.
 * @param pixels uint8, height x width x channels; of two channels, or more than three, the first is shown
 */
export async function embedded(
  pixels: Uint8Array,
  size: { readonly height: number; readonly width: number; readonly channels: number },
): Promise<EmbeddedImage> {
  const { height, width } = size
  const shown = size.channels === 3 ? pixels : pixels.filter((_, position) => position % size.channels === 0)
  const image = sharp(shown, { raw: { height, width, channels: size.channels === 3 ? 3 : 1 } })
  const isSmall = Math.max(height, width) <= small
  const bytes = await (isSmall ? image.png() : image.jpeg({ quality: 82 })).toBuffer()
  return { uri: `data:image/${isSmall ? 'png' : 'jpeg'};base64,${bytes.toString('base64')}`, width, height }
}

/** One window of the first layer. */
export interface FilterImage extends EmbeddedImage {
  /** The largest amount of a weight: what is drawn black or white. */
  readonly largest: number
}

/** About so many pixels is a filter's side. */
const filterSide = 48

/**
 * The windows of a first layer as images: 0 is mid-grey, the window's largest amount black or white; each weight is
 * enlarged to a square.
 * @param weight float32 [o, c, h, w]; of other than 1 or 3 channels, none
 */
export async function filterImages(weight: Tensor<'float32'>): Promise<FilterImage[]> {
  const [outputs = 0, channels = 0, height = 0, width = 0] = weight.shape
  if ((channels !== 1 && channels !== 3) || height * width === 0) return []
  const values = valuesOf(weight)
  const area = height * width
  const times = Math.max(1, Math.round(filterSide / Math.max(height, width)))
  const size = { width: width * times, height: height * times }
  return Promise.all(
    Array.from({ length: outputs }, async (_, output) => {
      const window = values.subarray(output * channels * area, (output + 1) * channels * area)
      const largest = window.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      // c h w -> h w c
      const pixels = Uint8Array.from(window, (_, position) => {
        const value = window[(position % channels) * area + Math.floor(position / channels)] ?? 0
        return largest > 0 && Number.isFinite(largest) ? Math.round(127.5 + (127.5 * value) / largest) : 128
      })
      const raw = { height, width, channels: channels as 1 | 3 }
      const bytes = await sharp(pixels, { raw })
        .resize({ ...size, kernel: 'nearest' })
        .png({ compressionLevel: 9 })
        .toBuffer()
      return { uri: `data:image/png;base64,${bytes.toString('base64')}`, ...size, largest }
    }),
  )
}
