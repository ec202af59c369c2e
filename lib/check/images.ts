import { createHash } from 'node:crypto'
import { readImages } from '../data/batch.js'
import { type Dataset, imageBytes } from '../data/dataset.js'
import { throwIfAborted, VggError } from '../error.js'
import type { Initialisation } from '../network/open.js'
import type { Callback } from '../options.js'
import type { VGG } from '../vgg/vgg.js'
import { type Finding, scaleText } from './findings.js'

/** The part of the data that an image is in. */
export type Part = 'training' | 'validation'

/** An image that could not be read. */
export interface UnreadableImage {
  /** Part of the data that the image is in. */
  readonly part: 'training' | 'validation'
  /** Index of the image in that part. */
  readonly index: number
  /** Path or other name of the image. */
  readonly name: string
  /** Why it could not be read. */
  readonly reason: string
}

/** Results of one pass over the images of a part, or a sample of them. */
export interface Reading {
  /** Indices of the images, in the order of reading. */
  readonly indices: Int32Array
  readonly unreadable: readonly UnreadableImage[]
  /** Whether the dataset throws on an unreadable image, so that training would end at the first. */
  readonly refuses: boolean
  /** Histogram of each channel: 256 counts. */
  readonly histograms: readonly Float64Array[]
  /** SHA-256 of each readable image's pixels, by image index; empty without `hashing`. */
  readonly hashes: ReadonlyMap<number, string>
}

/** Options of a pass over images. */
export interface ReadingOptions {
  readonly indices: Int32Array
  /** Whether to hash the pixels of each image. */
  readonly hashing: 'pixels' | 'none'
  readonly signal: AbortSignal | undefined
  readonly onRead: Callback<[done: number, of: number]> | undefined
}

/** Most bytes of pixels that are read at once. */
const bytesAtOnce = 2 ** 24

/** Reads images as evaluation does, and skips those that cannot be read, whatever the dataset's `onUnreadable`. */
export async function readThrough(data: Dataset, part: Part, options: ReadingOptions): Promise<Reading> {
  const { indices, hashing, signal, onRead } = options
  const histograms = Array.from({ length: data.channels }, () => new Float64Array(256))
  const hashes = new Map<number, string>()
  const unreadable: UnreadableImage[] = []
  let refuses = false
  const bytes = imageBytes(data)
  const atOnce = Math.max(1, Math.min(64, Math.floor(bytesAtOnce / bytes)))
  for (let start = 0; start < indices.length; start += atOnce) {
    throwIfAborted(signal, 'The check')
    const wanted = indices.subarray(start, start + atOnce)
    const read = await readLeniently(data, wanted)
    refuses ||= read.refuses
    unreadable.push(...read.unreadable.map(({ index, name, reason }) => ({ part, index, name, reason })))
    for (const { pixels, numbers } of read.images) {
      countValues(pixels, histograms)
      if (hashing === 'none') continue
      for (const [row, index] of numbers.entries()) {
        const image = pixels.subarray(row * bytes, (row + 1) * bytes)
        hashes.set(index, createHash('sha256').update(image).digest('base64'))
      }
    }
    await onRead?.(start + wanted.length, indices.length)
  }
  return { indices, unreadable, refuses, histograms, hashes }
}

interface LenientRead {
  images: { pixels: Uint8Array; numbers: Int32Array }[]
  unreadable: Omit<UnreadableImage, 'part'>[]
  refuses: boolean
}

/** Reads all at once; where the dataset throws, one by one, to find each unreadable image. */
async function readLeniently(data: Dataset, indices: Int32Array): Promise<LenientRead> {
  try {
    const { images, indices: numbers, unreadable } = await readImages(data, indices)
    return { images: [{ pixels: await images.data(), numbers }], unreadable: [...unreadable], refuses: false }
  } catch (error) {
    if (!isUnreadable(error)) throw error
    const [index] = indices
    if (indices.length > 1 || index === undefined) return readSingly(data, indices)
    const name = data.nameOf?.(index) ?? String(index)
    return { images: [], unreadable: [{ index, name, reason: error.message }], refuses: true }
  }
}

async function readSingly(data: Dataset, indices: Int32Array): Promise<LenientRead> {
  const all: LenientRead = { images: [], unreadable: [], refuses: true }
  for (const index of indices) {
    const one = await readLeniently(data, Int32Array.of(index))
    all.images.push(...one.images)
    all.unreadable.push(...one.unreadable)
  }
  return all
}

const isUnreadable = (error: unknown): error is VggError =>
  error instanceof VggError && (error.code === 'FILE_FORMAT' || error.code === 'FILE_NOT_FOUND')

function countValues(pixels: Uint8Array, histograms: readonly Float64Array[]): void {
  const channels = histograms.length
  histograms.forEach((counts, channel) => {
    for (let position = channel; position < pixels.length; position += channels) {
      const value = pixels[position] as number
      counts[value] = (counts[value] as number) + 1
    }
  })
}

/** Statistics of one channel, before and after the network's mean and scale. */
export interface ChannelFigures {
  /** Mean of the pixels, 0 to 255. */
  readonly mean: number
  /** Standard deviation of the pixels. */
  readonly deviation: number
  /** Smallest pixel value. */
  readonly least: number
  /** Largest pixel value. */
  readonly most: number
  /** Mean after mean and scale, as the first layer receives it. */
  readonly meanAfter: number
  /** Standard deviation after mean and scale. */
  readonly deviationAfter: number
}

/** Input of the first layer, compared with what the weights expect. */
export interface InputReport {
  /** Every channel, in order. */
  readonly channels: readonly ChannelFigures[]
  /** Root mean square of all channels' deviations, after mean and scale. */
  readonly deviation: number
  /** Expected deviation: 65 for the paper's initialisation, else 1; undefined for trained weights. */
  readonly expectedDeviation: number | undefined
  /** Problems found. */
  readonly findings: readonly Finding[]
}

/** Factor of deviation that is reported. Contrast varies between datasets; a missing or doubled scale is 58 or 255. */
const farFromExpected = 6

/** Error of the mean that is reported, as a share of the deviation. ImageNet's mean on other images: 0.1 to 0.3. */
const farFromZero = 0.5

function figuresOf(counts: Float64Array, mean: number, scale: number): ChannelFigures {
  const pixels = counts.reduce((sum, count) => sum + count, 0)
  const own = counts.reduce((sum, count, value) => sum + count * value, 0) / pixels
  const variance = counts.reduce((sum, count, value) => sum + count * (value - own) ** 2, 0) / pixels
  const deviation = Math.sqrt(variance)
  return {
    mean: own,
    deviation,
    least: counts.findIndex((count) => count > 0),
    most: counts.findLastIndex((count) => count > 0),
    meanAfter: (own - mean) * scale,
    deviationAfter: deviation * scale,
  }
}

/**
 * Compares the input after mean and scale with what the weights expect.
 * @param histograms 256 counts for each channel, of at least one pixel
 * @param initialisation initialisation of the weights; undefined for trained weights
 */
export function inputOf(
  histograms: readonly Float64Array[],
  { meanRgb, scale }: VGG['configuration'],
  initialisation: Initialisation | undefined,
): InputReport {
  const channels = histograms.map((counts, channel) => figuresOf(counts, meanRgb[channel] ?? 0, scale[channel] ?? 1))
  const squares = channels.reduce((sum, { deviationAfter }) => sum + deviationAfter ** 2, 0)
  const deviation = Math.sqrt(squares / channels.length)
  const expectedDeviation = initialisation === undefined ? undefined : initialisation === 'paper' ? 65 : 1
  const report = { channels, deviation, expectedDeviation }
  const aboutMean = meanFindings(channels, meanRgb, initialisation)
  return { ...report, findings: [...scaleFindings(report), ...aboutMean] }
}

/** The scale with which the input has a standard deviation of 1. */
export const unitScale = (channels: readonly ChannelFigures[]): number =>
  1 / Math.sqrt(channels.reduce((sum, { deviation }) => sum + deviation ** 2, 0) / channels.length)

function scaleFindings({ channels, deviation, expectedDeviation }: Omit<InputReport, 'findings'>): Finding[] {
  const most = Math.max(...channels.map((channel) => channel.most))
  if (channels.every((channel) => channel.deviation === 0))
    return [{ severity: 'fatal', text: 'all pixels of all images are equal: there is nothing to learn' }]
  if (most <= 1) {
    const text = 'no pixel is above 1: the images seem to be divided by 255, but pixels from 0 to 255 are expected'
    return [{ severity: 'fatal', text }]
  }
  if (expectedDeviation === undefined) return []
  const ratio = deviation / expectedDeviation
  if (ratio <= farFromExpected && ratio >= 1 / farFromExpected) return []
  const figures = `the input has standard deviation ${deviation.toPrecision(2)} and the weights expect about ${expectedDeviation}`
  return [{ severity: 'warning', text: `${figures}: ${scaleAdvice(ratio, expectedDeviation, channels)}` }]
}

function scaleAdvice(ratio: number, expected: number, channels: readonly ChannelFigures[]): string {
  if (expected === 65) return "the paper's initialisation goes with --scale 1"
  if (ratio > 1) return 'use --scale 1/58'
  const twice = ratio < 1 / 100 ? 'the pixels seem to be scaled twice; ' : ''
  return `${twice}use --scale ${scaleText(unitScale(channels))}`
}

function meanFindings(
  channels: readonly ChannelFigures[],
  meanRgb: readonly number[],
  initialisation: Initialisation | undefined,
): Finding[] {
  const wrong = channels.some(({ mean, deviation }, channel) => {
    return deviation > 0 && Math.abs(mean - (meanRgb[channel] ?? 0)) > farFromZero * deviation
  })
  if (!wrong) return []
  const list = (values: readonly number[]): string => values.map((value) => value.toFixed(1)).join(',')
  const own = list(channels.map(({ mean }) => mean))
  // the mean of trained weights belongs to them, and --mean is refused with --from
  const advice = initialisation === undefined ? 'the weights were trained on other images' : `use --mean ${own}`
  const text = `the network subtracts the mean ${list(meanRgb)}, but these images have the mean ${own}: ${advice}`
  return [{ severity: 'warning', text }]
}
