import sharp from 'sharp'
import { integer, readOptions, text, withDefault } from '../options.js'
import { printable } from '../table.js'
import { type Tensor, valuesOf } from '../tensor.js'
import { colourOf } from './colour-map.js'
import type { Explanation } from './explanation.js'

/** Pixels of an image with its map over it: uint8 [height, width, 3]. */
export interface Overlay {
  readonly pixels: Uint8Array
  readonly height: number
  readonly width: number
  /** Values of the map that have the first and the last colour. */
  readonly range: readonly [least: number, most: number]
}

/** Share of the map's colour in a pixel; the rest is the image in grey. */
const opacity = 0.6

/** Share of the pixels of a gradient that are drawn in the last colour: single pixels would make all others dark. */
const clipped = 0.005

/** The colours' range: that of a map of drops, which has both signs, else from 0. */
function rangeOf(map: Float32Array, method: Explanation['method']): readonly [number, number] {
  const sorted = map.toSorted()
  const isGradient = method === 'saliency' || method === 'guided-backprop'
  const most = sorted[Math.max(0, Math.ceil(sorted.length * (isGradient ? 1 - clipped : 1)) - 1)] ?? 0
  return [Math.min(0, sorted[0] ?? 0), most]
}

/** Pixels of one image as red, green and blue; of two channels, or more than three, the first is shown. */
function rgbOf(images: Tensor, index: number): { pixels: Uint8Array; height: number; width: number } {
  const image = images.slice(index, index + 1)
  const channelsLast = image.dtype === 'uint8'
  const [, ...axes] = image.shape
  const [channels = 0, height = 0, width = 0] = channelsLast ? [axes[2], axes[0], axes[1]] : axes
  const values = valuesOf(image)
  const pixels = Uint8Array.from({ length: 3 * height * width }, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), channels === 3 ? at % 3 : 0]
    const value = values[channelsLast ? pixel * channels + channel : channel * height * width + pixel] ?? 0
    return Math.round(Math.min(Math.max(value, 0), 255))
  })
  return { pixels, height, width }
}

/** Lays the map of an image over it. @param index of the image in the explanation */
export function overlayOf(
  { images, maps, method }: Explanation,
  index: number,
): Overlay & { readonly image: Uint8Array } {
  const { pixels: image, height, width } = rgbOf(images, index)
  const map = valuesOf(maps).subarray(index * height * width, (index + 1) * height * width)
  const range = rangeOf(map, method)
  const [least, most] = range
  const pixels = new Uint8Array(image.length)
  for (const [pixel, value] of map.entries()) {
    const [red = 0, green = 0, blue = 0] = image.subarray(3 * pixel, 3 * pixel + 3)
    const grey = 0.299 * red + 0.587 * green + 0.114 * blue
    const colour = colourOf(most > least ? (value - least) / (most - least) : 0)
    for (const [channel, part] of colour.entries())
      pixels[3 * pixel + channel] = Math.round((1 - opacity) * grey + opacity * part)
  }
  return { pixels, height, width, range, image }
}

/** Least length of the longer side of an image as drawn; a smaller one is enlarged by a whole number. */
const leastSide = 320
/** Largest side of an image that is enlarged without smoothing, so that its pixels are seen. */
const small = 96
const [margin, gap, barWidth, ticksWidth, lineHeight] = [16, 12, 16, 72, 22]

const escaped = (words: string): string => words.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

/** A number of a legend: three digits. */
const digits = (value: number): string => (value === 0 ? '0' : String(Number(value.toPrecision(3))))

/** Options of `drawExplanation`. */
export interface DrawOptions {
  /** Index of the image in the explanation. Default 0. */
  image?: number | undefined
  /** Text below the image, such as the name of the file. Default: none. */
  title?: string | undefined
}

/**
 * Draws an explanation: the image, the image in grey under the colours of its map, a colour bar with numbers, and the class with its
 * score and probability. In maps of gradients the largest 0.5 % of the values have the last colour. Text needs a font of the system.
 * @returns a PNG file
 * @throws INVALID_ARGUMENT
 */
export async function drawExplanation(explanation: Explanation, options: DrawOptions = {}): Promise<Uint8Array> {
  const { classes, method } = explanation
  const read = readOptions(options, 'drawExplanation options', {
    image: withDefault(integer(0, classes.length - 1), 0),
    title: withDefault(text, ' '),
  })
  const { pixels, image, height, width, range } = overlayOf(explanation, read.image)
  const times = Math.max(1, Math.ceil(leastSide / Math.max(height, width)))
  const shown = { width: width * times, height: height * times }
  const enlarge = (raw: Uint8Array): Promise<Buffer> =>
    sharp(raw, { raw: { height, width, channels: 3 } })
      .resize({ ...shown, fit: 'fill', kernel: Math.max(height, width) <= small ? 'nearest' : 'cubic' })
      .png()
      .toBuffer()
  const [left, right] = await Promise.all([enlarge(image), enlarge(pixels)])
  const size = {
    width: margin + shown.width + gap + shown.width + gap + barWidth + ticksWidth,
    height: margin + shown.height + gap + 3 * lineHeight + margin,
  }
  const explained = classes[read.image]
  const words = [
    explained?.class ?? '',
    `score ${digits(explained?.score ?? 0)}, probability ${(100 * (explained?.probability ?? 0)).toFixed(1)} %`,
    [method, 'layer' in explanation ? `at ${explanation.layer}` : '', read.title].join(' ').trim(),
  ]
  const svg = legend(words, range, { ...size, imageHeight: shown.height, barLeft: margin + 2 * (shown.width + gap) })
  return sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
    .composite([
      { input: left, top: margin, left: margin },
      { input: right, top: margin, left: margin + shown.width + gap },
      { input: Buffer.from(svg), top: 0, left: 0 },
    ])
    .withExif({ IFD0: { Software: drawnBy } })
    .png()
    .toBuffer()
}

/** What images of {@link drawExplanation} name as the program that wrote them, in their EXIF. */
export const drawnBy = 'vggnet explain'

/** Widest character of the text in pixels, roughly, by which lines are cut. */
const characterWidth = 9

function legend(
  words: readonly string[],
  [least, most]: readonly [number, number],
  size: { width: number; height: number; imageHeight: number; barLeft: number },
): string {
  const stops = Array.from({ length: 33 }, (_, index) => {
    const [red, green, blue] = colourOf(1 - index / 32)
    return `<stop offset="${index / 32}" stop-color="rgb(${red},${green},${blue})"/>`
  })
  const ticks = Array.from({ length: 5 }, (_, index) => {
    const y = margin + (index * size.imageHeight) / 4
    const value = most - ((most - least) * index) / 4
    return `<text x="${size.barLeft + barWidth + 6}" y="${y + 5}" font-size="13">${digits(value)}</text>`
  })
  const longest = Math.floor((size.width - 2 * margin) / characterWidth)
  const lines = words.map((line, index) => {
    const y = margin + size.imageHeight + gap + (index + 0.7) * lineHeight
    const weight = index === 0 ? ' font-weight="bold"' : ''
    return `<text x="${margin}" y="${y}" font-size="15"${weight}>${escaped(printable(line, longest))}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" font-family="DejaVu Sans, sans-serif" fill="#1b1f24">
<defs><linearGradient id="colours" x1="0" y1="0" x2="0" y2="1">${stops.join('')}</linearGradient></defs>
<rect x="${size.barLeft}" y="${margin}" width="${barWidth}" height="${size.imageHeight}" fill="url(#colours)"/>
${ticks.join('')}${lines.join('')}</svg>`
}
