import { arrayOf, boolean, type Check, integer, readable, unexpected } from '../../options.js'
import type { Random } from '../../random.js'

/** Height and width in pixels. */
export interface PixelSize {
  readonly height: number
  readonly width: number
}

/** Size and channels of a crop of a rescaled image. */
export interface CropSpec extends PixelSize {
  /** Number of channels: 1 (grey) or 3 (red, green, blue). */
  readonly channels: 1 | 3
}

/** The paper's S: the smallest side of the rescaled image in pixels, either fixed or drawn for each image from a range. */
export type SmallestSide = number | readonly [least: number, most: number]

/** How images of any size are rescaled and cropped (Sect. 3.1). */
export interface CropOptions {
  /** Height and width of the crop in pixels. */
  readonly crop: readonly [height: number, width: number]
  /** Smallest side of the rescaled image, at least the larger side of `crop`. */
  readonly smallestSide: SmallestSide
  /** Whether training takes crops at random offsets instead of the centre crop. */
  readonly randomCrop: boolean
}

/** The rescaled size of one image, and the position of the crop in it. */
export interface CropBox {
  readonly smallestSide: number
  /** Height of the rescaled image. */
  readonly height: number
  /** Width of the rescaled image. */
  readonly width: number
  /** First row of the crop within the rescaled image. */
  readonly top: number
  /** First column of the crop within the rescaled image. */
  readonly left: number
}

/** The paper's ratio: S = 256 for a crop of 224. */
const defaultRatio = 256 / 224

const side = integer(1, 65535)
const sides = arrayOf(side)

function cropFrom(value: unknown, name: string): readonly [number, number] {
  if (!Array.isArray(value)) {
    const square = side(value, name)
    return [square, square]
  }
  const [height, width, ...more] = sides(value, name)
  if (height === undefined || width === undefined || more.length > 0) {
    throw unexpected('a side or [height, width]', name, value)
  }
  return [height, width]
}

function smallestSideFrom(value: unknown, name: string, least: number): SmallestSide {
  const check: Check<number> = integer(least, 65535)
  if (!Array.isArray(value)) return check(value, name)
  const [low, high, ...more] = arrayOf(check)(value, name)
  if (low === undefined || high === undefined || low > high || more.length > 0) {
    throw unexpected('a side or [least, most]', name, value)
  }
  return low === high ? low : [low, high]
}

/**
 * Checks crop options and fills in their defaults.
 *
 * @param given crop: a side or [height, width]; smallestSide: at least the larger side of the crop, or a range
 *   [least, most], default 256/224 of that side as in the paper; randomCrop: default true
 * @throws VggError INVALID_ARGUMENT
 */
export function cropOptionsFrom(given: {
  readonly crop: unknown
  readonly smallestSide?: unknown
  readonly randomCrop?: unknown
}): CropOptions {
  const crop = readable('crop', () => cropFrom(given.crop, 'crop'))
  // The larger side, because a portrait crop must fit into a landscape image too.
  const least = Math.max(...crop)
  const asked = given.smallestSide ?? Math.round(least * defaultRatio)
  const smallestSide = readable('smallestSide', () => smallestSideFrom(asked, 'smallestSide', least))
  return { crop, smallestSide, randomCrop: boolean(given.randomCrop ?? true, 'randomCrop') }
}

/** The size of an image after rescaling without distortion: the smallest side is exactly S, the other is rounded. */
export function rescaledSize({ height, width }: PixelSize, smallestSide: number): PixelSize {
  const scale = smallestSide / Math.min(height, width)
  return {
    height: height <= width ? smallestSide : Math.max(smallestSide, Math.round(height * scale)),
    width: width <= height ? smallestSide : Math.max(smallestSide, Math.round(width * scale)),
  }
}

// Not random.integer(), which sometimes draws twice: the draws after a box must not depend on its size.
const drawn = (random: Random, count: number): number => Math.floor(random.uniform(0, count))

/**
 * Draws the crop box of one image for training: S and the offset of the crop are uniformly distributed.
 * Always draws three numbers, whatever the options.
 *
 * @param size of the image in its file, upright
 */
export function drawCropBox(random: Random, size: PixelSize, options: CropOptions): CropBox {
  const [least, most] = typeof options.smallestSide === 'number' ? [options.smallestSide] : options.smallestSide
  const smallestSide = least + drawn(random, (most ?? least) - least + 1)
  const { height, width } = rescaledSize(size, smallestSide)
  const [cropHeight, cropWidth] = options.crop
  const top = drawn(random, height - cropHeight + 1)
  const left = drawn(random, width - cropWidth + 1)
  if (!options.randomCrop) return { smallestSide, height, width, ...centre({ height, width }, options.crop) }
  return { smallestSide, height, width, top, left }
}

/** The crop box of one image for evaluation: the centre crop at the S of {@link evaluationSide}. */
export function centreCropBox(size: PixelSize, options: Pick<CropOptions, 'crop' | 'smallestSide'>): CropBox {
  const smallestSide = evaluationSide(options.smallestSide)
  const rescaled = rescaledSize(size, smallestSide)
  return { smallestSide, ...rescaled, ...centre(rescaled, options.crop) }
}

/**
 * The S of evaluation: the fixed S (the paper's Q = S, Sect. 3.2), or the middle of its range (384 for [256, 512]). `classify`
 * and `evaluate` take it of `net.preprocessing.smallestSide`; `readImage` is given it.
 * @returns S in pixels
 * @throws VggError INVALID_ARGUMENT
 */
export function evaluationSide(smallestSide: SmallestSide): number {
  const side = readable('smallestSide', () => smallestSideFrom(smallestSide, 'smallestSide', 1))
  return typeof side === 'number' ? side : Math.round((side[0] + side[1]) / 2)
}

function centre({ height, width }: PixelSize, [cropHeight, cropWidth]: readonly [number, number]) {
  return { top: Math.floor((height - cropHeight) / 2), left: Math.floor((width - cropWidth) / 2) }
}
