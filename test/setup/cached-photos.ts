import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import sharp from 'sharp'
import type { CacheOptions } from '../../lib/data/cache/cache.js'
import type { Dataset } from '../../lib/data/dataset.js'
import type { PhotoList } from '../../lib/data/sources/photo-list.js'
import { Random } from '../../lib/random.js'
import { newFolder } from './folder.js'

/** JPEG and PNG files of many sizes: landscape, portrait, square, smaller than the crop. */
const sizes = [
  [60, 80],
  [80, 60],
  [50, 50],
  [44, 131],
  [20, 25],
  [200, 180],
  [41, 40],
] as const

const random = new Random(3)
export const files: readonly Buffer[] = await Promise.all(
  sizes.map(([height, width], index) => {
    const noise = Uint8Array.from({ length: 8 * 8 * 3 }, () => random.integer(256))
    const image = sharp(noise, { raw: { width: 8, height: 8, channels: 3 } }).resize(width, height, { fit: 'fill' })
    return (index % 3 === 2 ? image.png() : image.jpeg()).toBuffer()
  }),
)

export interface CachedPhotos {
  readonly list: PhotoList
  readonly folder: string
  readonly options: CacheOptions
}

/** `count` files in a new folder, and a cache next to it. */
export function cachedPhotos(count: number, options: Partial<CacheOptions> = {}): CachedPhotos {
  const folder = newFolder()
  const images = path.join(folder, 'images')
  mkdirSync(images)
  const sources = Array.from({ length: count }, (_, index) => path.join(images, `${index}.jpg`))
  for (const [index, source] of sources.entries()) writeFileSync(source, files[index % files.length] ?? '')
  const labels = Int32Array.from(sources, (_, index) => index % 2)
  const list = { sources, names: sources, labels, classNames: ['a', 'b'] }
  return { list, folder, options: { crop: 32, smallestSide: 40, cache: path.join(folder, 'cache'), ...options } }
}

export const withoutCache = ({ cache: _, ...rest }: CacheOptions) => rest
export const shardsIn = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.shard'))

/** All images of a dataset in another order than its own; `count` is no multiple of 11. */
export const every = (count: number) => Int32Array.from({ length: count }, (_, index) => (index * 11) % count)

// toEqual takes its time with a hundred thousand numbers
const hashOf = (pixels: Uint8Array) => createHash('sha256').update(pixels).digest('hex')
const roomFor = (data: Dataset, count: number) => new Uint8Array(count * data.height * data.width * data.channels)

/** What `read` gives: the pixels as a hash. */
export async function readOf(data: Dataset, indices = every(data.count)) {
  const pixels = roomFor(data, indices.length)
  const unreadable = await data.read(indices, pixels)
  return { pixels: hashOf(pixels), unreadable }
}

/** What `readAugmented` gives: the pixels as a hash. */
export async function augmentedOf(data: Dataset, epoch = 0) {
  const indices = every(data.count)
  const pixels = roomFor(data, indices.length)
  const randoms = Array.from(indices, (index) => Random.at(1, epoch, index))
  const changes = await data.readAugmented?.(indices, randoms, pixels)
  return { pixels: hashOf(pixels), ...changes }
}

/** Mean difference of what two datasets give for training, in grey levels. */
export async function apart(one: Dataset, other: Dataset): Promise<number> {
  const [a, b] = await Promise.all(
    [one, other].map(async (data) => {
      const pixels = roomFor(data, data.count)
      const indices = every(data.count)
      const randoms = Array.from(indices, (index) => Random.at(1, 0, index))
      await data.readAugmented?.(indices, randoms, pixels)
      return pixels
    }),
  )
  return (a ?? []).reduce((sum, value, position) => sum + Math.abs(value - (b?.[position] ?? 0)), 0) / (a?.length ?? 0)
}
