import { createHash } from 'node:crypto'
import type { SkippedImage } from '../data/batch.js'
import type { PixelSize } from '../data/images/crop.js'
import { throwIfAborted } from '../error.js'
import { type Layer, layersWithParameters } from '../layer.js'
import type { Network } from '../network/network.js'
import type { Tensor } from '../tensor.js'
import { hashOf } from '../train/settings.js'
import { type Taken, takenOf } from './columns.js'
import { dimensionOf, type FeatureDescription, stackedScales } from './feature-description.js'
import { type ImageSource, type Pass, perPass } from './image-source.js'
import type { EmbedSettings } from './options.js'
import { addPooled, normaliseRows } from './pooling.js'

/** Consecutive images of a source, whose features are computed, and kept, together. */
export interface Part {
  readonly source: ImageSource
  /** Index of its first image in the source. */
  readonly first: number
  readonly count: number
  /** Number of images in the sources before. */
  readonly before: number
}

/** The features of a part. */
export interface PartFeatures {
  /** Index of each image in its source. */
  readonly indices: Int32Array
  /** [n, S x D] */
  readonly features: Float32Array
  readonly unreadable: readonly SkippedImage[]
}

/** The tensors of a pass by name: of the images as they are, and mirrored. */
type Versions = readonly Readonly<Record<string, Tensor<'float32'>>>[]

/** Most images of a part; whole images at several scales take longer. */
const mostImages = { crops: 256, dense: 32 } as const

/** Most bytes of the sums of a part. */
const mostBytes = 2 ** 26

/** SHA-256 of what the features depend on in a network: layers and parameters. */
export async function digestOfNetwork(net: Network, layers: readonly Layer[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(layers))
  return hash.update(await hashOf(net, layersWithParameters(layers))).digest('hex')
}

/** Computes features, a part of the images after the other. */
export class Embedder {
  readonly parts: readonly Part[]
  /** Number of images in all. */
  readonly count: number
  /** Values of an image: S x D. */
  readonly rowLength: number
  readonly taken: Taken
  readonly settings: EmbedSettings
  readonly #net: Network
  readonly #dimension: number

  /** @throws INVALID_ARGUMENT, SHAPE_MISMATCH */
  constructor(net: Network, sources: readonly ImageSource[], settings: EmbedSettings) {
    const { scales } = settings
    this.#net = net
    this.settings = settings
    const least = leastSize(sources, scales)
    this.taken = takenOf(net.layers, settings, least, scales === undefined)
    this.#dimension = dimensionOf(this.taken)
    const stacked = stackedScales({ aggregate: settings.aggregate, scales: scales ?? null })
    this.rowLength = (stacked ?? 1) * this.#dimension
    const passImages = scales === undefined ? perPass(least, settings.batchPixels) : 1
    const perPart = scales === undefined ? mostImages.crops : mostImages.dense
    const held = Math.min(perPart, Math.max(1, Math.floor(mostBytes / (8 * this.rowLength))))
    // whole passes
    const each = Math.max(1, Math.floor(held / passImages)) * passImages
    const parts: Part[] = []
    let before = 0
    for (const source of sources) {
      for (let first = 0; first < source.count; first += each)
        parts.push({ source, first, count: Math.min(each, source.count - first), before })
      before += source.count
    }
    this.parts = parts
    this.count = before
  }

  /** The description of the features. @param path where the network was loaded from, if that is known */
  async describe(path: string | null): Promise<FeatureDescription> {
    const { layers, pool, transform, scales = null, aggregate, flip, normalise } = this.settings
    const { classNames = [], pixels = { channels: this.#net.channels, crop: null, smallestSide: null } } =
      this.parts[0]?.source ?? {}
    const sha256 = await digestOfNetwork(this.#net, this.taken.layers)
    const model = { path, sha256 }
    const { columns } = this.taken
    return {
      version: 1,
      ...{ classNames: [...classNames], model, columns, layers },
      ...{ pool, transform, scales, aggregate, flip, normalise, pixels },
    }
  }

  /** Everything that the bits of features depend on besides the description and the images. */
  get conditions(): object {
    const { device, precision, deterministic, run } = this.#net
    const { seed: _, ...computing } = run
    const { batchPixels, formats, pixelLimit, decodeBytes } = this.settings
    const reading = { formats: [...formats].sort(), pixelLimit, decodeBytes }
    return { device, precision, deterministic, ...computing, batchPixels, ...reading }
  }

  /** Computes the features of a part. Equal images give equal bits. @throws ABORTED, NOT_FINITE, errors of reading */
  async compute(part: Part): Promise<PartFeatures> {
    const { source, first, count, before } = part
    const sums = new Float64Array(count * this.rowLength)
    const unreadable: SkippedImage[] = []
    const failed = new Set<number>()
    const fail = (image: SkippedImage): void => {
      failed.add(image.index)
      unreadable.push({ ...image, index: before + image.index })
    }
    const scales = this.settings.scales?.length ?? 1
    let pooled = 0
    const pool = async (tensors: Versions, pass: Pass): Promise<void> => {
      await this.#pool(tensors, pass, part, sums)
      pooled += pass.indices.length
      await this.settings.onProgress?.({ done: before + first + Math.floor(pooled / scales), of: this.count })
    }
    // one pass is pooled while the network computes another
    let pooling: Promise<void> = Promise.resolve()
    try {
      for await (const pass of source.passes(first, count, fail)) {
        throwIfAborted(this.settings.signal, 'The embedding')
        const found = this.#features(pass)
        const last = pooling
        pooling = Promise.all([found, last]).then(([tensors]) => pool(tensors, pass))
        pooling.catch(() => undefined)
        await last
      }
    } finally {
      await pooling.catch(() => undefined)
    }
    await pooling
    const indices = Int32Array.from({ length: count }, (_, position) => first + position)
    const kept = indices.filter((index) => !failed.has(index))
    for (const [row, index] of kept.entries()) {
      const start = (index - first) * this.rowLength
      sums.copyWithin(row * this.rowLength, start, start + this.rowLength)
    }
    const rows = sums.subarray(0, kept.length * this.rowLength)
    if (this.settings.normalise === 'l2') normaliseRows(rows, this.rowLength)
    return { indices: kept, features: Float32Array.from(rows), unreadable }
  }

  /** The tensors of a pass: as it is, and mirrored. */
  async #features({ images }: Pass): Promise<Versions> {
    const versions = this.settings.flip ? [0, 1] : [0]
    const calls = versions.map((version) => {
      const flip = new Uint8Array(images.shape[0] ?? 0).fill(version)
      return this.#net.features(images, this.taken.tensors, { augment: { flip } })
    })
    return Promise.all(calls)
  }

  async #pool(
    versions: Versions,
    { indices, scale }: Pass,
    { source, first }: Part,
    sums: Float64Array,
  ): Promise<void> {
    const { aggregate, scales, transform, layers } = this.settings
    const isStacked = aggregate === 'stack'
    const averaged = versions.length * (isStacked ? 1 : (scales?.length ?? 1))
    const offset = isStacked ? scale * this.#dimension : 0
    const starts = Array.from(indices, (index) => (index - first) * this.rowLength + offset)
    const nameOf = (image: number): string => source.nameOf(indices[image] ?? -1)
    for (const tensors of versions) {
      for (const [position, name] of this.taken.tensors.entries()) {
        const columns = this.taken.columns.filter(({ layer }) => layer === layers[position])
        const tensor = tensors[name] as Tensor<'float32'>
        await addPooled(tensor, { columns, transform, sums, starts, weight: 1 / averaged, nameOf })
      }
    }
  }
}

/** The size of the smallest images. */
function leastSize(sources: readonly ImageSource[], scales: readonly number[] | undefined): PixelSize {
  const side = Math.min(...(scales ?? []))
  const [height = 1, width = 1] = scales === undefined ? (sources[0]?.pixels.crop ?? []) : [side, side]
  return { height, width }
}
