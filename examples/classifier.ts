// Batching for the server: images that arrive while the network computes become its next batch.
import { type ClassProbability, classify, type ImageFormat, readImage, Tensor, type VGG } from 'vggnet'

interface Waiting {
  pixels: Uint8Array
  signal: AbortSignal
  resolve(answer: ClassProbability[]): void
  reject(error: unknown): void
}

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

/** Collects images while the network computes, and classifies them as one batch. */
export class Classifier {
  readonly #waiting: Waiting[] = []
  readonly #decodersWanted: (() => void)[] = []
  readonly #net: VGG
  readonly #batch: number
  #decodersFree = decoders
  #size = 0
  #busy = false

  constructor(net: VGG, batch: number) {
    this.#net = net
    this.#batch = batch
  }

  /** Number of images that wait, are decoded or are computed. */
  get size(): number {
    return this.#size
  }

  /** Classifies an image file. Nothing more is decoded or computed for it once the signal is aborted. */
  async classify(file: Uint8Array, signal: AbortSignal): Promise<ClassProbability[]> {
    this.#size++
    try {
      const pixels = await this.#decoded(file, signal)
      return await new Promise((resolve, reject) => {
        this.#waiting.push({ pixels, signal, resolve, reject })
        if (!this.#busy) void this.#work()
      })
    } finally {
      this.#size--
    }
  }

  async #decoded(file: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { channels, imageSize, preprocessing } = this.#net
    const [height, width] = imageSize
    // S of the training, as `classify` takes it: the middle of a range
    const [least, most = least] = [preprocessing?.smallestSide].flat()
    const side = least !== undefined && most !== undefined && { smallestSide: Math.round((least + most) / 2) }
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

  async #work(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      const batch: Waiting[] = []
      for (const one of this.#waiting.splice(0, this.#batch)) {
        if (one.signal.aborted) one.reject(one.signal.reason)
        else batch.push(one)
      }
      try {
        const answers = batch.length === 0 ? [] : await this.#answers(batch.map(({ pixels }) => pixels))
        for (const [index, { resolve }] of batch.entries()) resolve(answers[index] ?? [])
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#busy = false
  }

  async #answers(pixels: readonly Uint8Array[]): Promise<ClassProbability[][]> {
    const { imageSize, channels, classes } = this.#net
    const images = Tensor.from(Buffer.concat(pixels), [pixels.length, ...imageSize, channels])
    return classify(this.#net, [images], { top: Math.min(3, classes) })
  }
}
