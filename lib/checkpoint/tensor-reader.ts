import { VggError } from '../error.js'
import { blockBytes, Verification } from './checksum.js'
import type { OpenFile } from './open-file.js'
import type { Entry } from './safetensors.js'

/**
 * Reads the tensors of a file in the order of their bytes, once, and verifies each while it is read. One of `read`,
 * `verify` and `pass` is called for each tensor of the file, in order.
 */
export class TensorReader {
  readonly #file: OpenFile
  readonly #verification: Verification

  constructor(file: OpenFile) {
    this.#file = file
    this.#verification = new Verification(file.checksums)
  }

  /** The bytes of the next tensor. @throws FILE_FORMAT where it is damaged, OUT_OF_MEMORY */
  async read(entry: Entry): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = allocated(entry)
    await this.#follow(entry, (from, to) => bytes.subarray(from, to))
    return bytes
  }

  /** Reads the next tensor and keeps nothing of it. @throws FILE_FORMAT where it is damaged */
  async verify(entry: Entry): Promise<void> {
    const largest = Math.min(blockBytes, entry.end - entry.begin)
    // one is read while the other is verified
    const [even, odd] = [new Uint8Array(largest), new Uint8Array(largest)]
    await this.#follow(entry, (from, to) => ((from / blockBytes) % 2 === 0 ? even : odd).subarray(0, to - from))
  }

  /** Leaves the next tensor out; it is read only where later ones cannot be verified without it. @throws FILE_FORMAT */
  async pass(entry: Entry): Promise<void> {
    if (this.#file.checksums.covers === 'all tensors') await this.verify(entry)
    else this.#verification.skip()
  }

  async #follow({ name, begin, end }: Entry, part: (from: number, to: number) => Uint8Array): Promise<void> {
    const length = end - begin
    const filled = async (from: number): Promise<Uint8Array> => {
      const bytes = part(from, Math.min(length, from + blockBytes))
      await this.#file.fill(bytes, begin + from)
      return bytes
    }
    let next = filled(0)
    for (let from = 0; from < length; from += blockBytes) {
      const bytes = await next
      if (from + blockBytes < length) next = filled(from + blockBytes)
      this.#verification.add(bytes)
    }
    this.#verification.finish(name)
  }
}

function allocated({ name, begin, end }: Entry): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(end - begin)
  } catch (cause) {
    throw new VggError('OUT_OF_MEMORY', `Expected memory for the ${end - begin} bytes of ${name} but there is none`, {
      cause,
    })
  }
}
