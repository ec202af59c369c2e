import { createHash } from 'node:crypto'
import { mkdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import { VggError } from '../../error.js'
import { systemCode, writeError } from '../../files/atomic-file.js'
import { native } from '../../platform/native.js'
import { type PixelSize, rescaledSize, type SmallestSide } from '../images/crop.js'
import { decodeCrop, encodedBytes, openImage, type PhotoSource } from '../images/decode.js'
import type { Decoding } from '../images/formats.js'
import { removeUnfinished, Shard, type ShardImage, writeShard } from './shard.js'

/** Part of a shard's name: raise it whenever decode.ts, native/image or shard.ts give other bytes than before. */
const formatVersion = 3

/** 64 MB at the paper's S = 256. */
export const imagesPerShard = 256

/** How images are decoded into shards. */
export interface ShardSettings extends Decoding {
  readonly folder: string
  readonly smallestSide: SmallestSide
  readonly channels: 1 | 3
  /** Images decoded at once. */
  readonly workers: number
}

/** The shards of a list of images: those that are there, and the making of those that are not. */
export class ShardFolder {
  readonly count: number
  readonly #sources: readonly PhotoSource[]
  readonly #settings: ShardSettings
  readonly #shards: (Promise<Shard | undefined> | undefined)[]
  /** Ends when what is being made is made: one shard at a time. */
  #making: Promise<unknown> = Promise.resolve()
  #begun = false
  #writable = true

  constructor(sources: readonly PhotoSource[], settings: ShardSettings) {
    this.#sources = sources
    this.#settings = settings
    this.count = Math.ceil(sources.length / imagesPerShard)
    this.#shards = new Array<undefined>(this.count).fill(undefined)
  }

  /** The shard of this number, made where it is not there; undefined where it cannot be written. */
  shard(number: number): Promise<Shard | undefined> {
    const known = this.#shards[number]
    if (known) return known
    const found = this.#find(number)
    this.#shards[number] = found
    // A fault of the machine is told to who asked; the next one tries again.
    found.catch(() => this.#forget(number, found))
    return found
  }

  /** Removes a shard that is damaged. */
  async discard(number: number, shard: Shard): Promise<void> {
    const known = this.#shards[number]
    // Somebody else may have made it anew by now.
    if ((await known) !== shard) return
    this.#forget(number, known)
    await rm(shard.file, { force: true }).catch(() => undefined)
  }

  /** Of a shard: as many as `imagesPerShard`, the last one's fewer. */
  sizeOf(number: number): number {
    return Math.min(imagesPerShard, this.#sources.length - number * imagesPerShard)
  }

  #forget(number: number, found: Promise<Shard | undefined> | undefined): void {
    if (this.#shards[number] === found) this.#shards[number] = undefined
  }

  async #find(number: number): Promise<Shard | undefined> {
    const file = path.join(this.#settings.folder, `${await this.#key(number)}.shard`)
    const open = () => Shard.open(file, this.sizeOf(number))
    const there = await open()
    if (there) return there
    const made = this.#making.then(async () => {
      if (!this.#writable) return undefined
      // Another process may have made it while this one waited.
      const there = await open()
      if (there) return there
      return (await this.#make(number, file)) ? open() : undefined
    })
    this.#making = made.catch(() => undefined)
    return made
  }

  async #make(number: number, file: string): Promise<boolean> {
    const { folder } = this.#settings
    try {
      if (!this.#begun) {
        await mkdir(folder, { recursive: true })
        await removeUnfinished(folder)
        this.#begun = true
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

  async #key(number: number): Promise<string> {
    const { smallestSide, channels, formats, pixelLimit } = this.#settings
    const { sharp: wrapper = '', vips = '' } = sharp.versions
    const hash = createHash('sha256')
    const { libjpegTurbo } = native().buildInfo()
    const libraries = [wrapper, vips, libjpegTurbo]
    hash.update(JSON.stringify([formatVersion, libraries, smallestSide, channels, [...formats].sort(), pixelLimit]))
    const first = number * imagesPerShard
    const identities = this.#sources.slice(first, first + imagesPerShard).map(identityOf)
    for (const identity of await Promise.all(identities)) hash.update(identity)
    return hash.digest('hex').slice(0, 40)
  }

  /** The images of a shard in order, several decoded at once and no more than these held. */
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
      const image = await openImage(await encodedBytes(this.#sources[index] ?? '', settings), settings)
      const kept = keptSize(image.size, smallestSide)
      if (!kept) return { image: undefined }
      const { height, width } = kept
      const box = { height, width, top: 0, left: 0 }
      const pixels = await decodeCrop(image, box, { height, width, channels }, settings)
      return { image: { pixels, height, width, original: image.size } }
    } catch (fault) {
      const unreadable = fault instanceof VggError && ['FILE_FORMAT', 'FILE_NOT_FOUND'].includes(fault.code)
      return unreadable ? { image: undefined } : { fault }
    }
  }
}

type Decoded = { readonly image: ShardImage | undefined } | { readonly fault: unknown }

/**
 * S where it is fixed, and what is smaller is not kept at all: enlarged it would take more room than its file. Of a range
 * the largest, and what is smaller as it is: boxes are rescaled from it anyway.
 */
function keptSize(size: PixelSize, smallestSide: SmallestSide): PixelSize | undefined {
  const [smallest, fixed] = [Math.min(size.height, size.width), typeof smallestSide === 'number']
  const largest = typeof smallestSide === 'number' ? smallestSide : smallestSide[1]
  if (smallest < largest) return fixed ? undefined : size
  return rescaledSize(size, largest)
}

async function identityOf(source: PhotoSource): Promise<string> {
  if (source instanceof Uint8Array) return `${createHash('sha256').update(source).digest('hex')}\n`
  if (typeof source === 'function') throw new VggError('INTERNAL', 'A function has no identity')
  const { size, mtimeNs } = await stat(source, { bigint: true }).catch(() => ({ size: -1, mtimeNs: 0 }))
  return `${JSON.stringify([path.resolve(source), String(size), String(mtimeNs)])}\n`
}
