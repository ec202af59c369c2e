import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp, { type Sharp } from 'sharp'
import type { PhotoSource } from '../../lib/data/images/decode.js'
import type { PhotoList } from '../../lib/data/sources/photo-list.js'
import { Random } from '../../lib/random.js'

/** Pixels as they are before they are packed into a file: uint8, h w c. */
export interface Pixels {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  readonly channels: 1 | 2 | 3 | 4
}

/** Pixels made one value at a time. */
export function pixelsOf(
  [height, width, channels]: readonly [number, number, 1 | 2 | 3 | 4],
  value: (row: number, column: number, channel: number) => number,
): Pixels {
  const data = Uint8Array.from({ length: height * width * channels }, (_, index) => {
    const pixel = Math.floor(index / channels)
    return value(Math.floor(pixel / width), pixel % width, index % channels)
  })
  return { data, height, width, channels }
}

/** Red grows down the rows, green along the columns, blue is 40: every pixel says where it is. Sides up to 250. */
export const gradient = (height: number, width: number): Pixels =>
  pixelsOf([height, width, 3], (row, column, channel) => [row, column, 40][channel] ?? 0)

/** One colour all over. */
export const flat = (height: number, width: number, colour: readonly number[]): Pixels =>
  pixelsOf([height, width, colour.length as 1 | 2 | 3 | 4], (_row, _column, channel) => colour[channel] ?? 0)

/** Ready to be packed: `packed(pixels).png().toBuffer()`. */
export function packed({ data, height, width, channels }: Pixels): Sharp {
  return sharp(data, { raw: { height, width, channels } })
}

/** A PNG of 16 bits a channel that holds these values, 0 to 65535. */
export function deepPng(values: Uint16Array, height: number, width: number, channels: 1 | 3): Sharp {
  const image = sharp(values, { raw: { height, width, channels } })
  return image.toColourspace(channels === 1 ? 'grey16' : 'rgb16').png()
}

/** Pixels as a camera that is held otherwise stores them: turned as EXIF says, they are `upright` again. */
export function heldOtherwise(upright: Pixels, orientation: number): Pixels {
  const { height, width, channels, data } = upright
  const onItsSide = orientation >= 5
  const stored: readonly [number, number, typeof channels] = [
    onItsSide ? width : height,
    onItsSide ? height : width,
    channels,
  ]
  // Where the stored pixel (r, c) stands upright. EXIF 2.3, tag 0x0112: what the stored first row and column are.
  const upside = (r: number) => height - 1 - r
  const mirrored = (c: number) => width - 1 - c
  const positions: Record<number, (r: number, c: number) => readonly [number, number]> = {
    1: (r, c) => [r, c], // row 0 top, column 0 left
    2: (r, c) => [r, mirrored(c)], // top, right
    3: (r, c) => [upside(r), mirrored(c)], // bottom, right
    4: (r, c) => [upside(r), c], // bottom, left
    5: (r, c) => [c, r], // left, top
    6: (r, c) => [c, mirrored(r)], // right, top
    7: (r, c) => [upside(c), mirrored(r)], // right, bottom
    8: (r, c) => [upside(c), r], // left, bottom
  }
  return pixelsOf(stored, (r, c, channel) => {
    const [row, column] = positions[orientation]?.(r, c) ?? [0, 0]
    return data[(row * width + column) * channels + channel] ?? 0
  })
}

/** A PNG whose header says that it has these sides; the rest is that of a small one. */
export async function claimsToBe(height: number, width: number): Promise<Buffer> {
  const small = await packed(flat(8, 8, [200, 0, 0]))
    .png()
    .toBuffer()
  const claimed = Buffer.from(small)
  claimed.writeUInt32BE(width, 16)
  claimed.writeUInt32BE(height, 20)
  return claimed
}

/** Writes image files, named relative to `folder`: each of one colour that tells it from the others. */
export async function writePhotos(folder: string, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const position = path.join(folder, name)
    await mkdir(path.dirname(position), { recursive: true })
    const colour = [(index * 37) % 256, (index * 59) % 256, 90]
    const extension = path.extname(name).slice(1).toLowerCase()
    const image = packed(flat(40, 48, colour))
    const bytes = extension === 'jpg' ? image.jpeg() : extension === 'webp' ? image.webp() : image.png()
    await writeFile(position, await bytes.toBuffer())
  }
}

/** A colour shift with axes at right angles. */
export const colour = {
  values: [50, 20, 10],
  vectors: [
    [0.6, 0.6, 0.5292],
    [0.8, -0.6, 0],
    [0, 0, 1],
  ],
  deviation: 0.1,
}

/** Images without a path, all of class 0. */
export function listOf(sources: readonly PhotoSource[]): PhotoList {
  const names = sources.map((source, index) => (typeof source === 'string' ? source : `image ${index}`))
  return { sources, names, labels: new Int32Array(sources.length), classNames: ['a', 'b'] }
}

/** One generator for each image of a batch. */
export const randomsOf = (count: number, seed = 1) =>
  Array.from({ length: count }, (_, index) => new Random(seed * 1000 + index))

/** 0 to `count` - 1. */
export const all = (count: number) => Int32Array.from({ length: count }, (_, index) => index)
