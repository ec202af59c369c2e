// Batching for the server: images that arrive while the network computes become its next batch.
import { type ClassProbability, classify, readImage, Tensor, type VGG } from 'vggnet'

interface Waiting {
  pixels: Uint8Array
  resolve(answer: ClassProbability[]): void
  reject(error: unknown): void
}

/** Collects images while the network computes, and classifies them as one batch. */
export class Classifier {
  readonly #waiting: Waiting[] = []
  readonly #net: VGG
  readonly #batch: number
  #busy = false

  constructor(net: VGG, batch: number) {
    this.#net = net
    this.#batch = batch
  }

  async classify(file: Uint8Array): Promise<ClassProbability[]> {
    const { channels, imageSize, preprocessing } = this.#net
    const [height, width] = imageSize
    // S of the training, as `classify` takes it: the middle of a range
    const [least, most = least] = [preprocessing?.smallestSide].flat()
    const side = least !== undefined && most !== undefined && { smallestSide: Math.round((least + most) / 2) }
    const pixels = await readImage(file, { height, width, channels: channels === 1 ? 1 : 3 }, { ...side })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pixels, resolve, reject })
      if (!this.#busy) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#batch)
      try {
        const answers = await this.#answers(batch.map(({ pixels }) => pixels))
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
