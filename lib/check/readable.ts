import { createHash } from 'node:crypto'
import { readImages } from '../data/batch.js'
import { type Dataset, imageBytes } from '../data/dataset.js'
import { throwIfAborted, VggError } from '../error.js'

/** The part of the data that an image is in. */
export type Part = 'training' | 'validation'

/** An image that could not be read. */
export interface UnreadableImage {
  /** Of the data. */
  readonly part: 'training' | 'validation'
  /** Its number in that part. */
  readonly index: number
  /** Its path, or what else it is called by. */
  readonly name: string
  /** Why, in words. */
  readonly reason: string
}

/** What one pass over the images of a part, or a sample of them, has seen. */
export interface Reading {
  /** Images that were to be read, in this order. */
  readonly indices: Int32Array
  readonly unreadable: readonly UnreadableImage[]
  /** Whether the dataset refuses such images: training would end at the first. */
  readonly refuses: boolean
  /** For each channel, how many pixels have each value: 256 counts. */
  readonly histograms: readonly Float64Array[]
  /** Hash of each readable image's pixels, by its number; empty unless asked for. */
  readonly hashes: ReadonlyMap<number, string>
}

/** How to read them. */
export interface ReadingOptions {
  readonly indices: Int32Array
  /** Whether images are to be told apart by their pixels. */
  readonly hashing: 'pixels' | 'none'
  readonly signal: AbortSignal | undefined
  readonly onRead: ((done: number, of: number) => void) | undefined
}

/** Pixels that are read at once. */
const bytesAtOnce = 2 ** 24

/** Reads images as evaluation sees them, and passes over those that cannot be read, whatever the dataset's policy. */
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
      for (const [position, number] of numbers.entries()) {
        const image = pixels.subarray(position * bytes, (position + 1) * bytes)
        hashes.set(number, createHash('sha256').update(image).digest('base64'))
      }
    }
    onRead?.(start + wanted.length, indices.length)
  }
  return { indices, unreadable, refuses, histograms, hashes }
}

interface LenientRead {
  images: { pixels: Uint8Array; numbers: Int32Array }[]
  unreadable: Omit<UnreadableImage, 'part'>[]
  refuses: boolean
}

/** All at once; where the dataset refuses, one by one, so that each bad image is known. */
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
