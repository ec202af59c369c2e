import { createHash } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import { VggError } from '../../error.js'
import { makeFolders, systemCode, writeError } from '../../files/atomic-file.js'
import { native } from '../../platform/native.js'
import { type PixelSize, rescaledSize, type SmallestSide } from '../images/crop.js'
import { decodeCrop, type PhotoSource, withImage } from '../images/decode.js'
import type { Decoding } from '../images/formats.js'
import { isOfImage } from '../sources/photo-dataset.js'
import { removeUnfinished, Shard, type ShardImage, writeShard } from './shard.js'

/** Part of a shard's name. Raise it whenever a change of decode.ts, native/image or shard.ts changes the bytes. */
const formatVersion = 3

/** Number of images in a shard: 64 MB at the paper's S = 256. */
export const imagesPerShard = 256

/** How images are decoded into shards, and where these are written. */
export interface ShardSettings extends Decoding {
  readonly folder: string
  readonly smallestSide: SmallestSide
  readonly channels: 1 | 3
  /** Number of images decoded at once. */
  readonly workers: number
}

/** The shards of a list of images. Opens those that exist and writes those that do not. */
export class ShardFolder {
  readonly count: number
  readonly #sources: readonly PhotoSource[]
  readonly #settings: ShardSettings
  readonly #shards: (Promise<Shard | undefined> | undefined)[]
  /** Settles when the last shard begun is written: shards are written one at a time. */
  #writing: Promise<unknown> = Promise.resolve()
  #prepared = false
  #writable = true

  constructor(sources: readonly PhotoSource[], settings: ShardSettings) {
    this.#sources = sources
    this.#settings = settings
    this.count = Math.ceil(sources.length / imagesPerShard)
    this.#shards = new Array<undefined>(this.count).fill(undefined)
  }

  /** Returns the shard with this number, and writes it if it does not exist; undefined if it cannot be written. */
  shard(number: number): Promise<Shard | undefined> {
    const known = this.#shards[number]
    if (known) return known
    const opened = this.#open(number)
    this.#shards[number] = opened
    // The caller receives a fault of the machine; the next call tries again.
    opened.catch(() => this.#forget(number, opened))
    return opened
  }

  /** Removes a shard that is damaged. */
  async discard(number: number, shard: Shard): Promise<void> {
    const known = this.#shards[number]
    // Another read may have written it again already.
    if ((await known) !== shard) return
    this.#forget(number, known)
    await rm(shard.file, { force: true }).catch(() => undefined)
  }

  /** The number of images of a shard: `imagesPerShard`, or fewer for the last one. */
  sizeOf(number: number): number {
    return Math.min(imagesPerShard, this.#sources.length - number * imagesPerShard)
  }

  #forget(number: number, opened: Promise<Shard | undefined> | undefined): void {
    if (this.#shards[number] === opened) this.#shards[number] = undefined
  }

  async #open(number: number): Promise<Shard | undefined> {
    const key = await this.#key(number)
    if (key === undefined) return undefined
    const file = path.join(this.#settings.folder, `${key}.shard`)
    const open = () => Shard.open(file, this.sizeOf(number))
    const existing = await open()
    if (existing) return existing
    const written = this.#writing.then(async () => {
      if (!this.#writable) return undefined
      // Another process may have written it while this one waited.
      const existing = await open()
      if (existing) return existing
      return (await this.#write(number, file)) ? open() : undefined
    })
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #write(number: number, file: string): Promise<boolean> {
    const { folder } = this.#settings
    try {
      if (!this.#prepared) {
        await makeFolders(folder)
        await removeUnfinished(folder)
        this.#prepared = true
      }
      await writeShard(file, this.sizeOf(number), this.#decoded(number))
      return true
    } catch (error) {
      if (error instanceof VggError || systemCode(error) === undefined) throw error
      this.#writable = false
      const { message } = writeError(folder, error)
      process.emitWarning(`${message}. Images that are not in the cache are decoded for each read.`, 'VggCacheWarning')
      return false
    }
  }

  /** Hash of everything that the content depends on; undefined if a file cannot be identified. */
  async #key(number: number): Promise<string | undefined> {
    const { smallestSide, channels, formats, pixelLimit } = this.#settings
    const { sharp: wrapper = '', vips = '' } = sharp.versions
    const hash = createHash('sha256')
    const { libjpegTurbo } = native().buildInfo()
    const libraries = [wrapper, vips, libjpegTurbo]
    hash.update(JSON.stringify([formatVersion, libraries, smallestSide, channels, [...formats].sort(), pixelLimit]))
    const first = number * imagesPerShard
    const identities = this.#sources.slice(first, first + imagesPerShard).map(identityOf)
    for (const identity of await Promise.all(identities)) {
      if (identity === undefined) return undefined
      hash.update(identity)
    }
    return hash.digest('hex').slice(0, 40)
  }

  /** Decodes the images of a shard, several at once, in order. At most `workers` + 1 images are in memory. */
  async *#decoded(number: number): AsyncGenerator<ShardImage | undefined> {
    const first = number * imagesPerShard
    const end = first + this.sizeOf(number)
    const running: Promise<Decoded>[] = []
    for (let index = first; index < end || running.length > 0; ) {
      while (index < end && running.length < this.#settings.workers + 1) running.push(this.#decode(index++))
      const decoded = await running.shift()
      if (decoded && 'fault' in decoded) throw decoded.fault
      yield decoded?.image
    }
  }

  async #decode(index: number): Promise<Decoded> {
    const settings = this.#settings
    const { smallestSide, channels } = settings
    try {
      return await withImage(this.#sources[index] ?? '', settings, async (image) => {
        const cached = cachedSize(image.size, smallestSide)
        if (!cached) return { image: undefined }
        const { height, width } = cached
        const box = { height, width, top: 0, left: 0 }
        const pixels = await decodeCrop(image, box, { height, width, channels }, settings)
        return { image: { pixels, height, width, original: image.size } }
      })
    } catch (fault) {
      return isOfImage(fault) ? { image: undefined } : { fault }
    }
  }
}

type Decoded = { readonly image: ShardImage | undefined } | { readonly fault: unknown }

/**
 * The size at which an image is cached. With a fixed S it is rescaled to S; a smaller image is not cached (undefined),
 * because enlarged it would take more room than its file. With a range it is rescaled to the largest S; a smaller image
 * keeps its size, because its boxes are rescaled in any case.
 */
function cachedSize(size: PixelSize, smallestSide: SmallestSide): PixelSize | undefined {
  const [smallest, fixed] = [Math.min(size.height, size.width), typeof smallestSide === 'number']
  const largest = typeof smallestSide === 'number' ? smallestSide : smallestSide[1]
  if (smallest < largest) return fixed ? undefined : size
  return rescaledSize(size, largest)
}

/** What an image depends on: path, size and modification time, or its bytes; undefined if the device reports an error. */
export async function identityOf(source: PhotoSource): Promise<string | undefined> {
  if (source instanceof Uint8Array) return `${createHash('sha256').update(source).digest('hex')}\n`
  if (typeof source === 'function') throw new VggError('INTERNAL', 'A function has no identity')
  const absent = { size: -1, mtimeNs: 0 }
  const found = await stat(source, { bigint: true }).catch((error) =>
    systemCode(error) === 'EIO' ? undefined : absent,
  )
  return found && `${JSON.stringify([path.resolve(source), String(found.size), String(found.mtimeNs)])}\n`
}
