// Decoding for the server, a few images at a time, and the classes of an image from the batches of all requests.
import {
  type Batching,
  batching,
  type ClassProbability,
  evaluationSide,
  type ImageFormat,
  readImage,
  Tensor,
  type VGG,
  VggError,
} from 'vggnet'

/** Images decoded at once: each takes up to 8 bytes for each of its pixels. */
const decoders = 4

/** What is decoded: the formats that browsers send, at most 25 million pixels, which are 200 MB while they are decoded. */
const decoding = {
  formats: ['jpeg', 'png', 'webp'] satisfies readonly ImageFormat[],
  pixelLimit: 25_000_000,
  decodeSeconds: 5,
}

/** What is decoded, in words. */
export const accepted = `${decoding.formats.join(', ')}, undamaged, at most ${decoding.pixelLimit} pixels`

/** Decodes images, and classifies those that come at once as batches. */
export class Classifier {
  readonly #decodersWanted: (() => void)[] = []
  readonly #net: VGG
  readonly #batches: Batching
  #decodersFree = decoders
  #size = 0

  /** @param queue largest number of images in work, which the caller compares with `size` */
  constructor(net: VGG, maxBatch: number, queue: number) {
    this.#net = net
    this.#batches = batching(net, { maxBatch, maxQueue: queue })
  }

  /** Number of images that wait, are decoded or are computed. */
  get size(): number {
    return this.#size
  }

  /** Classifies an image file. Nothing more is decoded or computed for it once the signal is aborted. */
  async classify(file: Uint8Array, signal: AbortSignal): Promise<ClassProbability[]> {
    this.#size++
    try {
      const { imageSize, channels, classes, classNames } = this.#net
      const pixels = await this.#decoded(file, signal)
      const image = Tensor.from(pixels, [1, ...imageSize, channels])
      const logits = await this.#batches.forward(image, { signal })
      const [best = []] = await (await logits.softmax()).topk(Math.min(3, classes))
      if (best.some(({ value }) => !Number.isFinite(value)))
        throw new VggError('NOT_FINITE', 'The network has no finite scores for an image')
      return best.map(({ index, value }) => ({ class: classNames[index] ?? String(index), index, probability: value }))
    } finally {
      this.#size--
    }
  }

  async #decoded(file: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { channels, imageSize, preprocessing } = this.#net
    const [height, width] = imageSize
    const { smallestSide } = preprocessing ?? {}
    const side = smallestSide !== undefined && { smallestSide: evaluationSide(smallestSide) }
    if (this.#decodersFree === 0) await new Promise<void>((resolve) => this.#decodersWanted.push(resolve))
    else this.#decodersFree--
    try {
      signal.throwIfAborted()
      return await readImage(file, { height, width, channels: channels === 1 ? 1 : 3 }, { ...side, ...decoding })
    } finally {
      // handed to the one that has waited longest
      const next = this.#decodersWanted.shift()
      if (next === undefined) this.#decodersFree++
      else next()
    }
  }
}
