import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { Shard, type ShardImage, writeShard } from '../data/cache/shard.js'
import { type Dataset, imageBytes, type ReadFailure } from '../data/dataset.js'
import { throwIfAborted } from '../error.js'
import { makeFolders } from '../files/atomic-file.js'
import { closeRead } from '../files/regular-file.js'
import type { Network } from '../network/network.js'
import type { Random } from '../random.js'
import { Tensor, valuesOf } from '../tensor.js'
import type { Tap } from './tap.js'

/** Part of a shard's name. Raise it whenever the content of a shard changes. */
const formatVersion = 1

/** Least number of images in a shard. */
const leastImages = 256

/** Shards that one read takes values from at once. */
const lanes = 4

/** Images whose values at a tap are to be computed once. */
export interface FeatureSource {
  readonly net: Network
  readonly tap: Tap
  readonly data: Dataset
  /** Number of images in a pass. */
  readonly images: number
  /** Whether a pass over so many images gives the same bits, as `sameBits` of tap.ts returns it. */
  readonly sameBits: (count: number) => boolean
  /** Folder of the shards. Others in it are removed. */
  readonly folder: string
  /** Everything that the values depend on besides the pixels. */
  readonly key: string
  /** Draws the random flips of images; undefined if none is mirrored. */
  readonly flips: ((randoms: readonly Random[]) => Uint8Array) | undefined
  /** Called as values are computed or found; each version of an image counts. */
  onDone(images: number): Promise<void>
}

/** Number of versions of each image: with random flips the mirrored one too. */
export const versionsOf = ({ flips }: Pick<FeatureSource, 'flips'>): number => (flips === undefined ? 1 : 2)

/** Bytes of one image's values at a tap. */
export const bytesOfTap = ({ shape: [channels, height, width] }: Tap): number =>
  channels * height * width * Float32Array.BYTES_PER_ELEMENT

/** Removes shards, whole and unfinished ones. @param but names of those that stay */
export async function removeShards(folder: string, but: ReadonlySet<string> = new Set()): Promise<void> {
  for (const name of await readdir(folder)) {
    if (/\.(shard|unfinished)$/.test(name) && !but.has(name)) await rm(path.join(folder, name), { force: true })
  }
}

/**
 * The values of a tap for the images of a dataset, in shards: files of at least 256 consecutive images. A shard is named by the
 * hash of the pixels and of everything else that its values depend on. Values that are damaged or missing are computed again.
 */
export class FeatureData {
  readonly #source: FeatureSource
  readonly #bytes: number
  /** Images in a shard: a multiple of those in a pass. */
  readonly #perShard: number
  /** The shards of each version: as it is, mirrored. */
  readonly #shards: (Shard | undefined)[][] = [[], []]
  /** The images that could not be read. */
  readonly #failed = new Map<number, Omit<ReadFailure, 'position'>>()

  private constructor(source: FeatureSource) {
    this.#source = source
    this.#bytes = bytesOfTap(source.tap)
    this.#perShard = source.images * Math.ceil(leastImages / source.images)
  }

  /**
   * Reads all images, and computes the values that are not in the folder yet.
   * @throws ABORTED; errors of `data.read`, of the network, and of node:fs for the folder
   */
  static async prepare(source: FeatureSource, signal: AbortSignal | undefined): Promise<FeatureData> {
    const made = new FeatureData(source)
    await makeFolders(source.folder)
    const used = new Set<string>()
    for (let first = 0; first < source.data.count; first += made.#perShard) {
      for (const file of await made.#prepareShard(first, signal)) used.add(path.basename(file))
    }
    await removeShards(source.folder, used)
    return made
  }

  /** The values as a dataset of bytes, instead of the images: with their labels, names and unreadable images. */
  get dataset(): Dataset {
    const { data, tap, flips } = this.#source
    const [channels, height, width] = tap.shape
    const nameOf = data.nameOf?.bind(data)
    return {
      count: data.count,
      height: channels * height,
      width: width * Float32Array.BYTES_PER_ELEMENT,
      channels: 1,
      labels: data.labels,
      classNames: data.classNames,
      read: (indices, into) => this.#read(indices, into, new Uint8Array(indices.length)),
      ...(flips && {
        readAugmented: async (indices, randoms, into) => ({
          unreadable: await this.#read(indices, into, flips(randoms)),
        }),
      }),
      ...(nameOf && { nameOf }),
    }
  }

  /** A batch of that dataset as values of the tap: float32 [n, c, h, w], without a copy. */
  valuesOf(batch: Tensor<'uint8'>): Tensor<'float32'> {
    const { buffer, byteOffset, byteLength } = valuesOf(batch)
    const values = new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT)
    return Tensor.from(values, [batch.shape[0] ?? 0, ...this.#source.tap.shape])
  }

  /** @returns the files of the shard that begins at an image, one for each version */
  async #prepareShard(first: number, signal: AbortSignal | undefined): Promise<string[]> {
    const { data, folder, key, images } = this.#source
    const count = Math.min(this.#perShard, data.count - first)
    const pixels = new Uint8Array(count * imageBytes(data))
    const indices = Int32Array.from({ length: count }, (_, position) => first + position)
    const failures = await data.read(indices, pixels)
    for (const { position, ...failure } of failures) this.#failed.set(first + position, failure)
    const files: string[] = []
    for (let version = 0; version < versionsOf(this.#source); version++) {
      throwIfAborted(signal, 'The computation of the frozen layers')
      const facts = JSON.stringify([formatVersion, key, images, version, failures.map(({ position }) => position)])
      const hash = createHash('sha256').update(facts)
      const file = path.join(folder, `${hash.update(pixels).digest('hex').slice(0, 40)}.shard`)
      const known = await Shard.open(file, count)
      if (known === undefined) await writeShard(file, count, this.#computed(first, pixels, version, signal))
      else await this.#source.onDone(count)
      const shards = this.#shards[version] ?? []
      shards.push(known ?? (await Shard.open(file, count)))
      files.push(file)
    }
    return files
  }

  /** The values of the images of a shard, in order. */
  async *#computed(
    first: number,
    pixels: Uint8Array,
    version: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ShardImage | undefined> {
    const { images, data } = this.#source
    const each = imageBytes(data)
    for (let start = 0; start < pixels.length; start += images * each) {
      throwIfAborted(signal, 'The computation of the frozen layers')
      const part = pixels.subarray(start, start + images * each)
      const flip = new Uint8Array(part.length / each).fill(version)
      const values = await this.#compute(part, flip, images)
      for (let at = 0; at < values.length; at += this.#bytes) {
        const index = first + start / each + at / this.#bytes
        const size = { height: this.#bytes, width: 1 }
        yield this.#failed.has(index)
          ? undefined
          : { pixels: values.subarray(at, at + this.#bytes), ...size, original: size }
      }
      await this.#source.onDone(flip.length)
    }
  }

  /**
   * Computes the values of images in one pass.
   * @param atLeast images in the pass; what is missing is filled up with blank images
   */
  async #compute(pixels: Uint8Array, flip: Uint8Array, atLeast: number): Promise<Uint8Array> {
    const { net, tap, data } = this.#source
    const images = Math.max(flip.length, atLeast)
    const all = new Uint8Array(images * imageBytes(data))
    all.set(pixels)
    const flips = new Uint8Array(images)
    flips.set(flip)
    const shape = [images, data.height, data.width, data.channels]
    const found = await net.features(Tensor.from(all, shape), [tap.tensor], { augment: { flip: flips } })
    const { buffer, byteOffset } = valuesOf(found[tap.tensor] as Tensor<'float32'>)
    return new Uint8Array(buffer, byteOffset, flip.length * this.#bytes)
  }

  /** Reads values into `into`. @param mirrored 1 for an image of which the mirrored version is wanted */
  async #read(indices: Int32Array, into: Uint8Array, mirrored: Uint8Array): Promise<ReadFailure[]> {
    const { images, sameBits } = this.#source
    const failures: ReadFailure[] = []
    const readable: number[] = []
    for (const [position, index] of indices.entries()) {
      const failure = this.#failed.get(index)
      if (failure === undefined) readable.push(position)
      else failures.push({ position, ...failure })
    }
    const rest = readable.length % images
    const isKept = rest === 0 || sameBits(rest)
    const missing = isKept ? await this.#readKept(indices, readable, into, mirrored) : readable
    for (let start = 0; start < missing.length; start += images) {
      const part = missing.slice(start, start + images)
      const request = { indices, into, mirrored, atLeast: isKept ? images : part.length }
      failures.push(...(await this.#readComputed(part, request)))
    }
    return failures.sort((a, b) => a.position - b.position)
  }

  /** Reads the values at these positions that are in the shards. @returns the other positions, in rising order */
  async #readKept(
    indices: Int32Array,
    positions: readonly number[],
    into: Uint8Array,
    mirrored: Uint8Array,
  ): Promise<number[]> {
    const missing: number[] = []
    const byShard = new Map<Shard | undefined, number[]>()
    for (const position of positions) {
      const number = Math.floor((indices[position] ?? 0) / this.#perShard)
      const shard = this.#shards[mirrored[position] ?? 0]?.[number]
      const others = byShard.get(shard)
      if (others) others.push(position)
      else byShard.set(shard, [position])
    }
    // Each lane has one file open at a time: a batch can need more shards than a process may open files.
    const left = [...byShard].values()
    const lane = async () => {
      for (const [shard, inShard] of left) missing.push(...(await this.#readShard(shard, inShard, indices, into)))
    }
    await Promise.all(Array.from({ length: Math.min(lanes, byShard.size) }, lane))
    return missing.sort((one, other) => one - other)
  }

  /** Reads values from one shard. @returns the positions whose values are damaged or gone */
  async #readShard(
    shard: Shard | undefined,
    positions: readonly number[],
    indices: Int32Array,
    into: Uint8Array,
  ): Promise<number[]> {
    const file = await shard?.openFile()
    if (shard === undefined || file === undefined) return [...positions]
    const missing: number[] = []
    try {
      for (const position of positions) {
        const entry = shard.entry((indices[position] ?? 0) % this.#perShard)
        const target = into.subarray(position * this.#bytes, (position + 1) * this.#bytes)
        if (entry === undefined || !(await shard.read(file, entry, target))) missing.push(position)
      }
    } finally {
      await closeRead(file)
    }
    return missing
  }

  /** Computes the values at these positions from their images. */
  async #readComputed(
    positions: readonly number[],
    request: { indices: Int32Array; into: Uint8Array; mirrored: Uint8Array; atLeast: number },
  ): Promise<ReadFailure[]> {
    const { data } = this.#source
    const { indices, into, mirrored, atLeast } = request
    const pixels = new Uint8Array(positions.length * imageBytes(data))
    const wanted = Int32Array.from(positions, (position) => indices[position] ?? 0)
    const failures = await data.read(wanted, pixels)
    const flip = Uint8Array.from(positions, (position) => mirrored[position] ?? 0)
    const values = await this.#compute(pixels, flip, atLeast)
    for (const [at, position] of positions.entries())
      into.set(values.subarray(at * this.#bytes, (at + 1) * this.#bytes), position * this.#bytes)
    return failures.map((failure) => ({ ...failure, position: positions[failure.position] ?? -1 }))
  }
}
