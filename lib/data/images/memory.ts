// The memory of images that are decoded at once: each image holds its share of a budget while it is decoded.
import type { CropSpec, PixelSize } from './crop.js'
import { unreadable } from './formats.js'

/** Memory that all images of this thread share. Images wait for it in the order of their calls. */
class MemoryBudget {
  #used = 0
  readonly #waiting: { readonly bytes: number; readonly limit: number; readonly start: () => void }[] = []

  /**
   * Calls `use` while at most `limit` bytes are in use, these included.
   * @param bytes at most `limit`
   */
  async hold<T>(bytes: number, limit: number, use: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ bytes, limit, start })
      this.#admit()
    })
    try {
      return await use()
    } finally {
      this.#used -= bytes
      this.#admit()
    }
  }

  #admit(): void {
    for (let [next] = this.#waiting; next && this.#used + next.bytes <= next.limit; [next] = this.#waiting) {
      this.#waiting.shift()
      this.#used += next.bytes
      next.start()
    }
  }
}

/**
 * The two budgets: encoded files, and what decoding takes. They are separate, so that no image waits for memory that other
 * waiting images hold.
 */
export const budgets = { files: new MemoryBudget(), decoding: new MemoryBudget() }

/** @throws FILE_FORMAT if the bytes are more than the limit. @param what such as `decoding it takes` */
export function checkMemory(what: string, bytes: number, limit: number): void {
  if (bytes <= limit) return
  throw unreadable(
    `${what} ${bytes} bytes, more than the limit of ${limit}: raise decodeBytes (--decode-bytes ${bytes})`,
  )
}

/** What the header of an image that sharp decodes says of it. */
export interface SharpHeader {
  readonly format?: string | undefined
  readonly channels: number
  readonly depth: string
  readonly isProgressive: boolean
  readonly orientation?: number | undefined
}

const sampleBytes: Readonly<Record<string, number>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  uint: 4,
  int: 4,
  float: 4,
  complex: 8,
  double: 8,
  dpcomplex: 16,
}

/**
 * Bytes per pixel that sharp takes besides the decoded pixels, from above. Measured as the peak of a process that reads one
 * image of 4000x4000 of one colour (sharp 0.35, 30 November 2026): WebP 8.6, GIF 4.4, AVIF 15.7 and 19 with 10 bits,
 * interlaced PNG 3 or 8.1 with 4 channels of 16 bits, TIFF of one tile 3, progressive JPEG 3 or 6 by its colours, turned 3.
 * Formats that are read line by line take one byte or less.
 */
export function heldPerPixel({ format, channels, depth, isProgressive, orientation = 1 }: SharpHeader): number {
  const bytes = channels * (sampleBytes[depth] ?? 16)
  const decoder: Readonly<Record<string, number>> = {
    webp: 9,
    gif: 5,
    heif: depth === 'uchar' ? 16 : 20,
    tiff: bytes,
    png: isProgressive ? bytes : 1,
    jpeg: isProgressive ? 2 * channels : 1,
  }
  return (decoder[format ?? ''] ?? 16) + (orientation > 1 ? 4 : 0)
}

/** Bytes of the pixels that libjpeg-turbo decodes for a box, from above: at 1/2, 1/4 or 1/8 of the size if it allows that. */
export function scaledBytes(source: PixelSize, box: PixelSize, { channels }: CropSpec): number {
  const shrink = Math.min(source.height / box.height, source.width / box.width)
  const denominator = [8, 4, 2].find((one) => shrink > one) ?? 1
  return Math.ceil(source.height / denominator) * Math.ceil(source.width / denominator) * channels
}
