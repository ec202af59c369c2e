import { arrayOf, boolean, type Check, integer, unexpected } from '../../options.js'
import type { Random } from '../../random.js'

/** Height and width in pixels. */
export interface PixelSize {
  readonly height: number
  readonly width: number
}

/** What is cut out of a rescaled image. */
export interface CropSpec extends PixelSize {
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3
}

/** The paper's S: the smallest side of the rescaled image, fixed or drawn for each image from [least, most]. */
export type SmallestSide = number | readonly [least: number, most: number]

/** How an image of any size becomes one of the network's size (Sect. 3.1). */
export interface CropOptions {
  /** [height, width] of what is cut out. */
  readonly crop: readonly [height: number, width: number]
  /** At least the larger side of `crop`. */
  readonly smallestSide: SmallestSide
  /** CropSpec anywhere; otherwise the middle. */
  readonly randomCrop: boolean
}

/** One image's rescaling and crop. */
export interface CropBox {
  readonly smallestSide: number
  /** Of the rescaled image. */
  readonly height: number
  readonly width: number
  /** First row of the crop within the rescaled image. */
  readonly top: number
  /** First column of the crop. */
  readonly left: number
}

/** The paper's proportion: S = 256 for a crop of 224. */
const defaultMargin = 256 / 224

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
 * Reads how images are rescaled and crop.
 *
 * @param given crop: a side or [height, width]; smallestSide: at least the larger side of the crop, or [least, most],
 *   default 256/224 of it as in the paper; randomCrop: default true
 * @throws VggError INVALID_ARGUMENT
 */
export function cropOptionsFrom(given: {
  readonly crop: unknown
  readonly smallestSide?: unknown
  readonly randomCrop?: unknown
}): CropOptions {
  const crop = cropFrom(given.crop, 'crop')
  // A crop of any orientation must fit into an image of any orientation: hence the larger side, not each by itself.
  const least = Math.max(...crop)
  const smallestSide = smallestSideFrom(given.smallestSide ?? Math.round(least * defaultMargin), 'smallestSide', least)
  return { crop, smallestSide, randomCrop: boolean(given.randomCrop ?? true, 'randomCrop') }
}

/** The size of an image rescaled with its proportions kept: its smallest side is S exactly, the other is rounded. */
export function rescaledSize({ height, width }: PixelSize, smallestSide: number): PixelSize {
  const scale = smallestSide / Math.min(height, width)
  return {
    height: height <= width ? smallestSide : Math.max(smallestSide, Math.round(height * scale)),
    width: width <= height ? smallestSide : Math.max(smallestSide, Math.round(width * scale)),
  }
}

// Not random.integer(), which now and then takes a second number: what is drawn after a box must not hang on it.
const drawn = (random: Random, count: number): number => Math.floor(random.uniform(0, count))

/**
 * One image as training sees it: S drawn from its range, and a crop at any offset, each as likely as the others.
 * Always takes three numbers of the generator, whatever the options.
 *
 * @param size of the image as it is in its file, turned upright
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

/** One image as evaluation sees it: the fixed S, or the middle of its range (384 of [256, 512]), and the middle. */
export function centreCropBox(size: PixelSize, options: Pick<CropOptions, 'crop' | 'smallestSide'>): CropBox {
  const smallestSide = evaluationSide(options.smallestSide)
  const rescaled = rescaledSize(size, smallestSide)
  return { smallestSide, ...rescaled, ...centre(rescaled, options.crop) }
}

/** The S that evaluation rescales to: Sect. 3.2's Q = S, or the middle of the range. */
export function evaluationSide(smallestSide: SmallestSide): number {
  if (typeof smallestSide === 'number') return smallestSide
  return Math.round((smallestSide[0] + smallestSide[1]) / 2)
}

function centre({ height, width }: PixelSize, [cropHeight, cropWidth]: readonly [number, number]) {
  return { top: Math.floor((height - cropHeight) / 2), left: Math.floor((width - cropWidth) / 2) }
}
