import type { Random } from '../random.js'
import { Tensor } from '../tensor.js'
import { type Augmented, type Dataset, imageBytes, type Unreadable } from './dataset.js'
import { shiftImages } from './images/shift.js'

/** An image that was to be in a batch and is not: `position` is its position among the images wanted. */
export interface SkippedImage extends Unreadable {
  /** Its number in the dataset. */
  readonly index: number
}

/** A few images with their labels. */
export interface Images {
  /** uint8 [n, height, width, channels]; memory of its own, new each time. n may be 0, where none was readable. */
  readonly images: Tensor<'uint8'>
  /** [n], the classes. */
  readonly labels: Int32Array
  /** [n], the images' numbers in the dataset. */
  readonly indices: Int32Array
  /** What the device is to do to each image, as `Network.step` takes it. Absent: nothing. */
  readonly augment?: Pick<Augmented, 'flip' | 'shift'>
  /** Images that could not be read; they are not among those above. */
  readonly unreadable: readonly SkippedImage[]
}

/** What chance does to images that are read for training. */
export interface Changes {
  /** One generator for each image. */
  readonly randoms: readonly Random[]
  /** [n, 2]: rows down and columns to the right. Absent: none is moved. */
  readonly moves?: Int32Array | undefined
  readonly background: number
}

/** Reads images by their numbers, as evaluation sees them, or with `changes` as training does. */
export async function readImages(data: Dataset, indices: Int32Array, changes?: Changes): Promise<Images> {
  const { height, width, channels } = data
  const pixels = new Uint8Array(indices.length * imageBytes(data))
  const { unreadable = [], ...augment }: Augmented =
    changes && data.readAugmented
      ? await data.readAugmented(indices, changes.randoms, pixels)
      : { unreadable: await data.read(indices, pixels) }
  const { moves, background = 0 } = changes ?? {}
  const moved = moves ? shiftImages(pixels, [indices.length, height, width, channels], moves, background) : pixels
  const leftOut = unreadable.map((one) => ({ ...one, index: indices[one.position] ?? -1 }))
  const kept = new Keep(indices.length, new Set(unreadable.map(({ position }) => position)))
  const images = Tensor.from(kept.of(moved), [kept.count, height, width, channels])
  const { flip, shift } = augment
  const labels = indices.map((index) => data.labels[index] ?? -1)
  return {
    images,
    labels: kept.of(labels),
    indices: kept.of(indices),
    ...((flip || shift) && {
      augment: { ...(flip && { flip: kept.of(flip) }), ...(shift && { shift: kept.of(shift) }) },
    }),
    unreadable: leftOut,
  }
}

/** Takes positions out of arrays that hold equally much for each position. */
class Keep {
  readonly #positions: number
  readonly #without: ReadonlySet<number>
  readonly count: number

  constructor(positions: number, without: ReadonlySet<number>) {
    this.#positions = positions
    this.#without = without
    this.count = positions - without.size
  }

  /** The array itself where nothing is to go; otherwise its front, with the rest moved up. */
  of<A extends Uint8Array | Int32Array | Float32Array>(array: A): A {
    if (this.#without.size === 0) return array
    const length = array.length / this.#positions
    let to = 0
    for (let position = 0; position < this.#positions; position++) {
      if (this.#without.has(position)) continue
      array.copyWithin(to, position * length, (position + 1) * length)
      to += length
    }
    return array.subarray(0, to) as A
  }
}
