import path from 'node:path'
import { throwIfAborted } from '../../error.js'
import { closeRead } from '../../files/regular-file.js'
import { type Callback, callback, filePath, instanceOf, optional, readOptions, unexpected } from '../../options.js'
import { native } from '../../platform/native.js'
import type { Dataset } from '../dataset.js'
import type { CropBox, CropSpec, PixelSize } from '../images/crop.js'
import { type ChooseCropBox, cropDataset, PhotoReader } from '../sources/photo-dataset.js'
import { checkedList, type PhotoList } from '../sources/photo-list.js'
import { type PhotoOptions, readPhotoOptions } from '../sources/photo-options.js'
import type { Shard } from './shard.js'
import { imagesPerShard, ShardFolder } from './shard-folder.js'

/** Options of a {@link cachedDataset}. */
export interface CacheOptions extends PhotoOptions {
  /**
   * Path of the folder of shards, which is created if it does not exist. It can serve many datasets and settings at once,
   * and can be removed at any time. Only damaged shards are removed from it automatically.
   */
  cache: string
}

/** The result of preparing a cache. */
export interface CacheReport {
  /** Number of images in the cache. */
  readonly images: number
  /**
   * Number of images that every read decodes again: unreadable ones, those smaller than a fixed S, and those of shards
   * that could not be written.
   */
  readonly missing: number
}

/** A dataset with a cache of decoded images. */
export interface CachedDataset extends Dataset {
  /**
   * Writes all shards that do not exist. Otherwise a read writes the shards that it needs; in random order the first batch
   * needs nearly all of them.
   *
   * @throws VggError ABORTED; finished shards are kept
   */
  prepare(options?: PrepareOptions): Promise<CacheReport>
}

/** Options of {@link CachedDataset.prepare}. */
export interface PrepareOptions {
  /**
   * Function that is called after each shard with the number of images processed and their total number; a returned promise is
   * awaited.
   */
  onProgress?: Callback<[done: number, of: number]> | undefined
  /** Signal that stops the preparation after the present shard. */
  signal?: AbortSignal | undefined
}

/** Shards that one read takes images from at once. */
const lanes = 4

const prepareChecks = {
  onProgress: optional(callback<Callback<[done: number, of: number]>>()),
  signal: optional(instanceOf(AbortSignal)),
}

/**
 * A dataset of image files like {@link photoDataset}, with a cache of decoded images: each image is decoded once and
 * rescaled to S. With a fixed S the bytes are exactly those of `photoDataset`, and reading an image copies rows; images
 * smaller than S are decoded at every read. With a range of S, images are stored at its largest value (smaller ones at
 * their own size), and each crop box is rescaled from there: close to the result of decoding the file, but not equal.
 *
 * A shard contains 256 consecutive images of the list. It is named by the hash of their paths, sizes and modification
 * times, the settings and the versions of the decoding libraries, so a changed file gives a new shard. Processes can share
 * a folder. Damaged shards are detected by checksums and written again. If shards cannot be written (for example because
 * the disk is full), a warning is emitted once, and the files are decoded at every read. So are unreadable images.
 *
 * @param list sources must be paths or bytes: a function cannot be identified
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the numbers of sources, names and labels differ
 */
export function cachedDataset(list: PhotoList, options: CacheOptions): CachedDataset {
  const { cache, ...photoOptions } = options
  const settings = readPhotoOptions(photoOptions)
  const photos = checkedList(list)
  const callable = photos.sources.findIndex((source) => typeof source === 'function')
  if (callable >= 0) throw unexpected('a path or bytes', `sources[${callable}]`, photos.sources[callable])
  const files = new PhotoReader(photos, settings)
  const shards = new ShardFolder(photos.sources, {
    ...settings,
    folder: path.resolve(filePath(cache, 'cache')),
    channels: settings.crop.channels,
    smallestSide: settings.cropOptions.smallestSide,
  })
  const data = cropDataset(photos, settings, async (indices, into, choose) => {
    const hits = new CacheHits(settings.crop, indices, into, choose)
    await hits.read(shards)
    return files.read(indices, into, choose, hits.missing)
  })
  return { ...data, prepare: (given) => prepare(shards, data.count, given) }
}

/** The images of one read that the shards contain. */
class CacheHits {
  /** Positions of the images that are not in the cache, in rising order. Complete after `read`. */
  readonly missing: number[] = []
  readonly #crop: CropSpec
  readonly #indices: Int32Array
  readonly #into: Uint8Array
  readonly #choose: ChooseCropBox

  constructor(crop: CropSpec, indices: Int32Array, into: Uint8Array, choose: ChooseCropBox) {
    this.#crop = crop
    this.#indices = indices
    this.#into = into
    this.#choose = choose
  }

  /**
   * Reads the images that the shards contain. The box of an image is chosen only when its pixels have been read, so that
   * an image is drawn for once. Damaged shards are removed: their images are missing, and the next read writes them again.
   */
  async read(shards: ShardFolder): Promise<void> {
    const positions = new Map<number, number[]>()
    for (const [position, index] of this.#indices.entries()) {
      const number = Math.floor(index / imagesPerShard)
      const inShard = positions.get(number)
      if (inShard) inShard.push(position)
      else positions.set(number, [position])
    }
    // Each lane has one file open at a time: a batch can need more shards than a process may open files.
    const left = [...positions].values()
    const lane = async () => {
      for (const [number, inShard] of left) {
        const shard = await shards.shard(number)
        if (shard === undefined) this.missing.push(...inShard)
        else if (!(await this.#readShard(shard, inShard))) await shards.discard(number, shard)
      }
    }
    await Promise.all(Array.from({ length: Math.min(lanes, positions.size) }, lane))
    this.missing.sort((one, other) => one - other)
  }

  /** Reads images of one shard; returns false if the shard is gone or damaged. */
  async #readShard(shard: Shard, positions: readonly number[]): Promise<boolean> {
    const file = await shard.openFile()
    if (file === undefined) {
      this.missing.push(...positions)
      return false
    }
    let scratch = new Uint8Array(0)
    let intact = true
    try {
      for (const position of positions) {
        const entry = shard.entry((this.#indices[position] ?? -1) % imagesPerShard)
        const length = entry ? entry.height * entry.width * this.#crop.channels : 0
        if (scratch.length < length) scratch = new Uint8Array(length)
        const pixels = scratch.subarray(0, length)
        const isRead = entry !== undefined && (await shard.read(file, entry, pixels))
        if (isRead) {
          const box = this.#choose(entry.original, position)
          await copyCrop(pixels, entry, box, this.#crop, this.#target(position))
        } else this.missing.push(position)
        intact &&= isRead || entry === undefined
      }
    } finally {
      await closeRead(file)
    }
    return intact
  }

  #target(position: number): Uint8Array {
    const bytes = this.#crop.height * this.#crop.width * this.#crop.channels
    return this.#into.subarray(position * bytes, (position + 1) * bytes)
  }
}

/** Takes the crop from cached pixels: copies rows if the pixels have the size of the box, and rescales them otherwise. */
async function copyCrop(
  pixels: Uint8Array,
  cached: PixelSize,
  box: CropBox,
  crop: CropSpec,
  into: Uint8Array,
): Promise<void> {
  const { channels } = crop
  if (box.height === cached.height && box.width === cached.width) {
    const rowBytes = crop.width * channels
    for (let row = 0; row < crop.height; row++) {
      const start = ((box.top + row) * cached.width + box.left) * channels
      into.set(pixels.subarray(start, start + rowBytes), row * rowBytes)
    }
    return
  }
  await native().rescale({ pixels, source: cached, box, crop, into })
}

async function prepare(shards: ShardFolder, count: number, options: PrepareOptions = {}): Promise<CacheReport> {
  const { onProgress, signal } = readOptions(options, 'prepare options', prepareChecks)
  let images = 0
  let done = 0
  // Each process begins at another shard, so that two that start together write different ones.
  for (let step = 0; step < shards.count; step++) {
    const number = (process.pid + step) % shards.count
    throwIfAborted(signal, 'The preparation of the cache')
    const shard = await shards.shard(number)
    const size = shards.sizeOf(number)
    for (let slot = 0; shard && slot < size; slot++) if (shard.entry(slot)) images += 1
    done += size
    await onProgress?.(done, count)
  }
  return { images, missing: count - images }
}
