import { VggError } from '../error.js'
import { boolean, type Check, integer, objectOf, readOptions, seed, unexpected, withDefault } from '../options.js'
import { Random, type RandomState, randomStateCheck } from '../random.js'
import { type ImageBatch, readImages } from './batch.js'
import { type Dataset, datasetCheck } from './dataset.js'
import { type Part, partCheck, rangeOf, whole } from './part.js'

/** A batch of an epoch, in the form that `Network.step` takes. */
export interface Batch extends ImageBatch {
  /** State of the loader after this batch: `restore(after)` continues with the batch that follows it. */
  readonly after: LoaderState
}

/** Options of a {@link Loader}. */
export interface LoaderOptions {
  /** Number of images per batch, from 1. The last batch of an epoch is smaller if the count is no multiple of it. */
  batch: number
  /** Whether that smaller batch is left out. Default false. */
  dropLast?: boolean | undefined
  /** Seed of the order and of all random augmentation: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number | undefined
  /** Largest random translation along each axis in pixels, drawn for each image and epoch. Default 0. */
  shift?: number | undefined
  /** Value of the pixels that a translation exposes, 0 to 255. Default 0 (black). */
  background?: number | undefined
  /**
   * Whether images are mirrored left to right at random, with probability 1/2, which the device does. Default false. Not
   * for data with `readAugmented`, which draw their own augmentation.
   */
  flip?: boolean | undefined
  /**
   * Number of batches that are read ahead, 0 to 1024. Default 2. Reading pauses when that many are waiting. With 0, calls
   * of `data.read` never overlap, provided that each `next` is awaited before the following one.
   */
  ahead?: number | undefined
  /** Number of epochs after which nothing is read ahead: the length of the training. Default: no limit. */
  epochs?: number | undefined
  /** The part of each batch that is read: that of this rank of so many. The state counts whole batches. Default: all of it. */
  part?: Part | undefined
}

/** State of a loader: plain data that can be stored as JSON. */
export interface LoaderState {
  /** Number of finished epochs. */
  readonly epoch: number
  /** Number of images of this epoch that were returned already. */
  readonly position: number
  /** Seed of the images' generators: that of image i in epoch e is a function of seed, e and i. */
  readonly seed: number
  /** State of the generator before this epoch's order was drawn. */
  readonly order: RandomState
  /** Present state of the generator of translations. */
  readonly shifts: RandomState
}

const checks = {
  batch: integer(1),
  dropLast: withDefault(boolean, false),
  seed: withDefault(seed, 0),
  shift: withDefault(integer(0), 0),
  background: withDefault(integer(0, 255), 0),
  flip: withDefault(boolean, false),
  ahead: withDefault(integer(0, 1024), 2),
  epochs: withDefault(integer(1), Number.MAX_SAFE_INTEGER),
  part: withDefault(partCheck, whole),
}

/** Number of images that an epoch returns, of `count`. */
export const epochImages = (count: number, batch: number, dropLast: boolean): number =>
  dropLast ? count - (count % batch) : count

/** Checks that options fit the data. @throws INVALID_ARGUMENT */
export function checkLoading(
  { count, readAugmented }: Dataset,
  { batch, dropLast, flip }: { batch: number; dropLast: boolean; flip: boolean },
): void {
  if (dropLast && batch > count)
    throw unexpected(`at most ${count}, the number of images, with dropLast`, 'batch', batch)
  if (!flip || readAugmented === undefined) return
  const message =
    'Expected no option flip for data that draw their own augmentation, as photoDataset does: use its option flip'
  throw new VggError('INVALID_ARGUMENT', message)
}

/**
 * An endless sequence of batches of a dataset. Each epoch reads all images once, in a new random order.
 * Equal seeds give equal batches on every machine, whatever the number of threads and of batches read ahead.
 * `restore(state)` continues exactly where `state` was taken.
 *
 * A loader need not be closed: reads that are under way end by themselves, and their errors are ignored.
 */
export class Loader {
  /** The dataset that is read. */
  readonly data: Dataset
  /** Number of batches in one epoch. */
  readonly batchesPerEpoch: number
  /** Number of images in one epoch. */
  readonly imagesPerEpoch: number
  readonly #batch: number
  readonly #shift: number
  readonly #background: number
  readonly #flip: boolean
  readonly #ahead: number
  readonly #epochs: number
  readonly #part: Part
  /** Batches being read or read already, oldest first. `#sequence` is positioned after the last one. */
  #queue: PendingBatch[] = []
  #sequence: IndexSequence
  #state: LoaderState

  /** @throws VggError INVALID_ARGUMENT */
  constructor(data: Dataset, options: LoaderOptions) {
    this.data = datasetCheck(data, 'data')
    const read = readOptions(options, 'Loader options', checks)
    checkLoading(data, read)
    this.#batch = read.batch
    this.#shift = read.shift
    this.#background = read.background
    this.#flip = read.flip
    this.#ahead = read.ahead
    this.#epochs = read.epochs
    this.#part = read.part
    this.imagesPerEpoch = epochImages(data.count, read.batch, read.dropLast)
    this.batchesPerEpoch = Math.ceil(this.imagesPerEpoch / this.#batch)
    const order = new Random(read.seed)
    const shifts = new Random(order.next()).state
    this.#state = { epoch: 0, position: 0, seed: read.seed, order: order.state, shifts }
    this.#sequence = this.#sequenceFrom(this.#state)
  }

  /** State of the loader after the last batch that was requested. */
  get state(): LoaderState {
    return this.#state
  }

  /**
   * Continues where `state` was taken. The loader must have the same data and options.
   *
   * @throws VggError INVALID_ARGUMENT
   */
  restore(state: LoaderState): void {
    const read = loaderStateCheck(state, 'state')
    integer(0, this.data.count)(read.position, 'state.position')
    this.#sequence = this.#sequenceFrom(read)
    this.#state = read
    this.#queue = []
  }

  /**
   * Returns the next batch; the last batch of an epoch is followed by the first of the next epoch. Rejects with the
   * error of `data.read` if this batch cannot be read. The following call then returns the batch after it.
   */
  async next(): Promise<Batch> {
    // The batch that is due is begun first. All draws are made before the first await, so that the state is consistent.
    if (this.#queue.length === 0) this.#queue.push(this.#begin())
    while (this.#queue.length <= this.#ahead && this.#sequence.epochOfNext < this.#epochs)
      this.#queue.push(this.#begin())
    const { images, after } = this.#queue.shift() as PendingBatch
    this.#state = after
    return { ...(await images), after }
  }

  #sequenceFrom(state: LoaderState): IndexSequence {
    return new IndexSequence(this.data.count, this.imagesPerEpoch, state)
  }

  #begin(): PendingBatch {
    const { indices: all, epoch } = this.#sequence.take(this.#batch)
    const allOffsets = this.#shift === 0 ? undefined : this.#sequence.offsets(all.length, this.#shift)
    const [begin, end] = rangeOf(all.length, this.#part)
    const indices = all.slice(begin, end)
    const offsets = allOffsets?.slice(2 * begin, 2 * end)
    const after = this.#sequence.state
    // This batch may never be requested: its error must not count as an unhandled rejection.
    const images = readImages(this.data, indices, {
      randoms: Array.from(indices, (index) => Random.at(after.seed, epoch, index)),
      offsets,
      background: this.#background,
      flip: this.#flip,
    })
    images.catch(() => undefined)
    return { images, after }
  }
}

interface PendingBatch {
  readonly images: Promise<ImageBatch>
  readonly after: LoaderState
}

/** The indices of the images in the order of the epochs. Reads no image. */
class IndexSequence {
  readonly #count: number
  /** Number of images that an epoch returns. */
  readonly #length: number
  readonly #seed: number
  #epoch: number
  #position: number
  #orderState: RandomState
  readonly #shifts: Random
  #order: Int32Array

  constructor(count: number, length: number, state: LoaderState) {
    this.#count = count
    this.#length = length
    this.#seed = state.seed
    this.#epoch = state.epoch
    this.#position = state.position
    this.#orderState = state.order
    this.#shifts = Random.restore(state.shifts)
    this.#order = Random.restore(state.order).permutation(count)
  }

  get state(): LoaderState {
    const [epoch, position, seed] = [this.#epoch, this.#position, this.#seed]
    return { epoch, position, seed, order: this.#orderState, shifts: this.#shifts.state }
  }

  get epochOfNext(): number {
    return this.#position >= this.#length ? this.#epoch + 1 : this.#epoch
  }

  take(batch: number): { indices: Int32Array; epoch: number } {
    if (this.#position >= this.#length) this.#beginEpoch()
    // A copy: the caller owns the indices of a batch.
    const indices = this.#order.slice(this.#position, this.#position + batch)
    this.#position += indices.length
    return { indices, epoch: this.#epoch }
  }

  /** Draws translations: [n, 2], rows down and columns to the right, each from -shift to shift. */
  offsets(count: number, shift: number): Int32Array {
    const range = 2 * shift + 1
    return Int32Array.from({ length: 2 * count }, () => this.#shifts.integer(range) - shift)
  }

  #beginEpoch(): void {
    // One generator draws all orders: its state after one permutation is the state before the next.
    const random = Random.restore(this.#orderState)
    random.permutation(this.#count)
    this.#orderState = random.state
    this.#order = random.permutation(this.#count)
    this.#epoch += 1
    this.#position = 0
  }
}

/** Check of a {@link LoaderState}. Whether the data have images at its position is checked by `restore`. */
export const loaderStateCheck: Check<LoaderState> = objectOf({
  epoch: integer(0),
  position: integer(0),
  seed,
  order: randomStateCheck,
  shifts: randomStateCheck,
})

/**
 * Reads all images of a dataset once, in its order, for evaluation. One batch is read ahead. Batches lack the images
 * that could not be read, and may therefore be smaller, or empty.
 * @param part every `size`th batch is read, from the one of this rank on
 */
export async function* batchesOf(
  data: Dataset,
  batch: number,
  { rank, size }: Part = whole,
): AsyncGenerator<ImageBatch> {
  const begin = (start: number): Promise<ImageBatch> | undefined => {
    if (start >= data.count) return undefined
    const count = Math.min(batch, data.count - start)
    const images = readImages(
      data,
      Int32Array.from({ length: count }, (_, position) => start + position),
    )
    images.catch(() => undefined)
    return images
  }
  let ahead = begin(rank * batch)
  try {
    for (let start = (rank + size) * batch; ahead !== undefined; start += size * batch) {
      const images = await ahead
      ahead = begin(start)
      yield images
    }
  } finally {
    // If the caller stops early, no read is left under way.
    await ahead?.catch(() => undefined)
  }
}
