import path from 'node:path'
import { throwIfAborted, VggError } from '../../error.js'
import { callback, filePath, instanceOf, optional, readOptions, unexpected } from '../../options.js'
import { native } from '../../platform/native.js'
import type { Random } from '../../random.js'
import type { Augmented, Dataset, Unreadable } from '../dataset.js'
import { drawColourShift } from '../images/colour.js'
import { type CropBox, type CropSpec, centreCropBox, drawCropBox, type PixelSize } from '../images/crop.js'
import { type PhotoList, type PhotoOptions, photoDataset, readPhotoOptions } from '../sources/photo-dataset.js'
import type { Shard } from './shard.js'
import { imagesPerShard, ShardFolder } from './shard-folder.js'

/** How images are kept decoded. */
export interface CacheOptions extends PhotoOptions {
  /**
   * Folder of the shards, made where it is missing. It may serve many datasets and settings at once, and be removed at
   * any time. Nothing in it is ever removed by itself but what is damaged.
   */
  cache: string
}

/** What making ready found. */
export interface CacheReport {
  /** Images that are in the cache. */
  readonly images: number
  /**
   * Images that are decoded anew for each read: unreadable ones, those smaller than a fixed S, and all of a shard that
   * could not be written.
   */
  readonly missing: number
}

/** Images that are decoded once. */
export interface CachedDataset extends Dataset {
  /**
   * Makes all shards that are not there. Without it, a read makes those it needs: in random order that is nearly all
   * of them at the first batch.
   *
   * @throws VggError ABORTED; what is done by then stays done
   */
  prepare(options?: PrepareOptions): Promise<CacheReport>
}

/** How a cache is made. */
export interface PrepareOptions {
  /** Called now and then with the images gone through, of how many. */
  onProgress?: (done: number, of: number) => void
  /** Ends it after the shard that is being made. */
  signal?: AbortSignal
}

/** Images read at once by one read. */
const lanes = 4

const prepareChecks = {
  onProgress: optional(callback<(done: number, of: number) => void>()),
  signal: optional(instanceOf(AbortSignal)),
}

/**
 * As `photoDataset`, from a cache of decoded images: each is decoded once, and rescaled to S. With a fixed S the
 * bytes are those of `photoDataset`, bit for bit, and to read an image is to copy rows; what is smaller than S is
 * decoded each time. With a range of S images are kept at its largest (or as they are, where they are smaller), and
 * each box is rescaled from there: close to what the file itself would give, not equal.
 *
 * A shard holds 256 images of the list in its order, and is named by the hash of their paths, sizes and times of
 * change, of the settings and of the library that decoded them: a file that is changed makes its shard anew. Processes
 * may share a folder. Checksums find what is damaged: it is made anew. Where shards cannot be written (the disk is
 * full), a warning is given once, and files are decoded as without a cache; so are unreadable images each time.
 *
 * @param list paths or bytes; functions have nothing that they could be recognised by
 * @throws VggError INVALID_ARGUMENT, as photoDataset does
 */
export function cachedDataset(list: PhotoList, options: CacheOptions): CachedDataset {
  const { cache: folder, ...rest } = options
  const direct = photoDataset(list, rest)
  const strange = list.sources.findIndex((source) => typeof source === 'function')
  if (strange >= 0) throw unexpected('a path or bytes', `sources[${strange}]`, list.sources[strange])
  const given = readPhotoOptions(rest)
  const { cropping, channels } = given
  const shards = new ShardFolder(list.sources, {
    ...given,
    folder: path.resolve(filePath(folder, 'cache')),
    smallestSide: cropping.smallestSide,
  })

  const crop: CropSpec = { height: direct.height, width: direct.width, channels }

  async function read(indices: Int32Array, into: Uint8Array): Promise<readonly Unreadable[]> {
    const found = new Found(crop, indices, into)
    await found.fill(shards, (size) => centreCropBox(size, cropping))
    const { unreadable } = await found.decodeMissing(async (missing, pixels) => ({
      unreadable: await direct.read(missing, pixels),
    }))
    return unreadable ?? []
  }

  async function readAugmented(indices: Int32Array, randoms: readonly Random[], into: Uint8Array): Promise<Augmented> {
    const { flip = true, colour } = rest
    const flips = new Uint8Array(indices.length)
    const shifts = new Float32Array(indices.length * direct.channels)
    const found = new Found(crop, indices, into)
    await found.fill(shards, (size, position) => {
      const random = randoms[position]
      if (!random) throw new VggError('INTERNAL', `Expected a generator for image ${position} of the batch`)
      // The same draws in the same order as photoDataset's.
      const box = drawCropBox(random, size, cropping)
      flips[position] = random.next() >>> 31
      if (colour) shifts.set(drawColourShift(random, colour), position * direct.channels)
      return box
    })
    const { unreadable = [] } = await found.decodeMissing(async (missing, pixels, positions) => {
      const its = positions.map((position) => randoms[position] as Random)
      const decoded = (await direct.readAugmented?.(missing, its, pixels)) ?? {}
      for (const [at, position] of positions.entries()) {
        flips[position] = decoded.flip?.[at] ?? 0
        shifts.set(
          decoded.shift?.subarray(at * direct.channels, (at + 1) * direct.channels) ?? [],
          position * direct.channels,
        )
      }
      return decoded
    })
    return { ...(flip && { flip: flips }), ...(colour && { shift: shifts }), unreadable }
  }

  return { ...direct, read, readAugmented, prepare: (given) => prepare(shards, direct.count, given) }
}

type ChooseCropBox = (size: PixelSize, position: number) => CropBox

/** One read of images: what the shards hold, and then the rest. */
class Found {
  readonly #crop: CropSpec
  readonly #indices: Int32Array
  readonly #into: Uint8Array
  readonly #missing: number[] = []

  constructor(crop: CropSpec, indices: Int32Array, into: Uint8Array) {
    this.#crop = crop
    this.#indices = indices
    this.#into = into
  }

  /**
   * Takes what the shards hold. Draws nothing for an image before it is read. What is damaged is removed: its images
   * are missing this time, and the next read makes the shard anew.
   */
  async fill(shards: ShardFolder, choose: ChooseCropBox): Promise<void> {
    const positions = new Map<number, number[]>()
    for (const [position, index] of this.#indices.entries()) {
      const number = Math.floor(index / imagesPerShard)
      const its = positions.get(number)
      if (its) its.push(position)
      else positions.set(number, [position])
    }
    // Each lane has one file open at a time: a batch may touch more shards than a process may open files.
    const left = [...positions].values()
    const lane = async () => {
      for (const [number, its] of left) {
        const shard = await shards.shard(number)
        if (shard === undefined) this.#missing.push(...its)
        else if (!(await this.#take(shard, its, choose))) await shards.discard(number, shard)
      }
    }
    await Promise.all(Array.from({ length: Math.min(lanes, positions.size) }, lane))
    this.#missing.sort((one, other) => one - other)
  }

  /** Takes images of one shard; false where it is gone, or something of it is damaged. */
  async #take(shard: Shard, positions: readonly number[], choose: ChooseCropBox): Promise<boolean> {
    const file = await shard.openFile()
    if (file === undefined) {
      this.#missing.push(...positions)
      return false
    }
    let scratch = new Uint8Array(0)
    let whole = true
    try {
      for (const position of positions) {
        const entry = shard.entry((this.#indices[position] ?? -1) % imagesPerShard)
        const length = entry ? entry.height * entry.width * this.#crop.channels : 0
        if (scratch.length < length) scratch = new Uint8Array(length)
        const pixels = scratch.subarray(0, length)
        const isRead = entry !== undefined && (await shard.read(file, entry, pixels))
        if (isRead) await takeCrop(pixels, entry, choose(entry.original, position), this.#crop, this.#target(position))
        else this.#missing.push(position)
        whole &&= isRead || entry === undefined
      }
    } finally {
      await file.close()
    }
    return whole
  }

  #target(position: number): Uint8Array {
    const bytes = this.#crop.height * this.#crop.width * this.#crop.channels
    return this.#into.subarray(position * bytes, (position + 1) * bytes)
  }

  /** Hands the missing images to `decode` and puts what it gives into their positions. */
  async decodeMissing(
    decode: (indices: Int32Array, pixels: Uint8Array, positions: readonly number[]) => Promise<Augmented>,
  ): Promise<Augmented> {
    const positions = this.#missing
    if (positions.length === 0) return {}
    const bytes = this.#into.length / this.#indices.length
    const pixels = new Uint8Array(positions.length * bytes)
    const indices = Int32Array.from(positions, (position) => this.#indices[position] ?? -1)
    const { unreadable = [], ...rest } = await decode(indices, pixels, positions)
    for (const [at, position] of positions.entries()) {
      this.#into.set(pixels.subarray(at * bytes, (at + 1) * bytes), position * bytes)
    }
    return { ...rest, unreadable: unreadable.map((one) => ({ ...one, position: positions[one.position] ?? -1 })) }
  }
}

/** Cuts a box out of kept pixels: rows are copied where they have the box's size, and rescaled otherwise. */
async function takeCrop(
  pixels: Uint8Array,
  kept: PixelSize,
  box: CropBox,
  crop: CropSpec,
  into: Uint8Array,
): Promise<void> {
  const { channels } = crop
  if (box.height === kept.height && box.width === kept.width) {
    const rowBytes = crop.width * channels
    for (let row = 0; row < crop.height; row++) {
      const start = ((box.top + row) * kept.width + box.left) * channels
      into.set(pixels.subarray(start, start + rowBytes), row * rowBytes)
    }
    return
  }
  await native().rescale({ pixels, source: kept, box, crop, into })
}

async function prepare(shards: ShardFolder, count: number, options: PrepareOptions = {}): Promise<CacheReport> {
  const { onProgress, signal } = readOptions(options, 'prepare options', prepareChecks)
  let images = 0
  let done = 0
  // Each process begins elsewhere: two that start together make different shards.
  for (let turn = 0; turn < shards.count; turn++) {
    const number = (process.pid + turn) % shards.count
    throwIfAborted(signal, 'The making of the cache')
    const shard = await shards.shard(number)
    const size = shards.sizeOf(number)
    for (let position = 0; shard && position < size; position++) if (shard.entry(position)) images += 1
    done += size
    onProgress?.(done, count)
  }
  return { images, missing: count - images }
}
