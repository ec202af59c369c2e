import { integer, isObject, readOptions, seed, unexpected, withDefault } from '../options.js'
import { Random, type RandomState } from '../random.js'
import { type Images, readImages } from './batch.js'
import { type Dataset, datasetCheck } from './dataset.js'

/** A few images of an epoch, as `Network.step` takes them. */
export interface Batch extends Images {
  /** Where the loader stands behind this batch: `restore(after)` makes the next batch the one that follows it. */
  readonly after: LoaderState
}

/** How a loader goes through its data. */
export interface LoaderOptions {
  /** Images per batch, from 1. The last batch of an epoch is smaller where the count is no multiple. */
  batch: number
  /** Seed of order, shifts, and what chance does to each image: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number
  /** Moves each image by up to so many pixels along each axis, anew in each epoch. Default 0. */
  shift?: number
  /** Value of the pixels that come in at the border of a moved image, 0 (black, the default) to 255. */
  background?: number
  /**
   * Batches that are read ahead of the one that `next` gives. Default 2. More are never held: a caller that is slow
   * holds up the reading. With 0, and no second `next` before the first is done, `data.read` is never called twice at once.
   */
  ahead?: number
  /** Nothing is read ahead behind so many epochs: what a training of that length would not use. Default: no end. */
  epochs?: number
}

/** Where a loader stands: plain data, to be put into JSON. */
export interface LoaderState {
  /** Epochs begun and finished before this one. */
  readonly epoch: number
  /** Images of this epoch already given. */
  readonly position: number
  /** The seed that image i's own generator in epoch e is made of. */
  readonly seed: number
  /** The generator before this epoch's order was drawn. */
  readonly order: RandomState
  /** The generator of the shifts, as it stands. */
  readonly shifts: RandomState
}

const checks = {
  batch: integer(1),
  seed: withDefault(seed, 0),
  shift: withDefault(integer(0), 0),
  background: withDefault(integer(0, 255), 0),
  ahead: withDefault(integer(0, 1024), 2),
  epochs: withDefault(integer(1), Number.MAX_SAFE_INTEGER),
}

/**
 * Endless batches of a dataset: each epoch goes through all images once, in a new random order.
 * Equal seeds give equal batches on every machine, whatever is read ahead and by how many threads, and
 * `restore(state)` goes on exactly where `state` was taken.
 *
 * A loader that is not wanted any more needs no closing: what it reads ahead ends by itself, and its errors with it.
 */
export class Loader {
  /** What it reads. */
  readonly data: Dataset
  /** Batches in one epoch. */
  readonly batchesPerEpoch: number
  readonly #batch: number
  readonly #shift: number
  readonly #background: number
  readonly #ahead: number
  readonly #epochs: number
  /** Batches under way or read, oldest first; the plan stands behind the last one. */
  #queue: Begun[] = []
  #plan: Plan
  #state: LoaderState

  /** @throws VggError INVALID_ARGUMENT */
  constructor(data: Dataset, options: LoaderOptions) {
    this.data = datasetCheck(data, 'data')
    const read = readOptions(options, 'Loader options', checks)
    this.#batch = read.batch
    this.#shift = read.shift
    this.#background = read.background
    this.#ahead = read.ahead
    this.#epochs = read.epochs
    this.batchesPerEpoch = Math.ceil(data.count / this.#batch)
    const order = new Random(read.seed)
    const shifts = new Random(order.next()).state
    this.#state = { epoch: 0, position: 0, seed: read.seed, order: order.state, shifts }
    this.#plan = new Plan(data.count, this.#state)
  }

  /** Where the loader stands: behind the last batch that was asked for. */
  get state(): LoaderState {
    return this.#state
  }

  /**
   * Goes on where `state` was taken; the loader must have been made with the same data and options.
   *
   * @throws VggError INVALID_ARGUMENT
   */
  restore(state: LoaderState): void {
    const read = stateFrom(state, this.data.count)
    this.#plan = new Plan(this.data.count, read)
    this.#state = read
    this.#queue = []
  }

  /**
   * The next batch; after the last one of an epoch comes the first of the next. Rejects as `data.read` does, at the
   * batch that could not be read; the call after that gives the next batch.
   */
  async next(): Promise<Batch> {
    // What was asked for first is begun first. All of it is drawn here: the state is whole at every await.
    if (this.#queue.length === 0) this.#queue.push(this.#begin())
    while (this.#queue.length <= this.#ahead && this.#plan.epochOfNext < this.#epochs) this.#queue.push(this.#begin())
    const { images, after } = this.#queue.shift() as Begun
    this.#state = after
    return { ...(await images), after }
  }

  #begin(): Begun {
    const { indices, epoch } = this.#plan.take(this.#batch)
    const moves = this.#shift === 0 ? undefined : this.#plan.moves(indices.length, this.#shift)
    const after = this.#plan.state
    // Nobody may ever ask for this batch: its error must not count as unhandled.
    const images = readImages(this.data, indices, {
      randoms: Array.from(indices, (index) => Random.at(after.seed, epoch, index)),
      moves,
      background: this.#background,
    })
    images.catch(() => undefined)
    return { images, after }
  }
}

interface Begun {
  readonly images: Promise<Images>
  readonly after: LoaderState
}

/** Which images come next, without reading them. */
class Plan {
  readonly #count: number
  readonly #seed: number
  #epoch: number
  #position: number
  #orderState: RandomState
  readonly #shifts: Random
  #order: Int32Array

  constructor(count: number, state: LoaderState) {
    this.#count = count
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
    return this.#position >= this.#count ? this.#epoch + 1 : this.#epoch
  }

  take(batch: number): { indices: Int32Array; epoch: number } {
    if (this.#position >= this.#count) this.#beginEpoch()
    // a copy: batches are given away, and the order is still needed
    const indices = this.#order.slice(this.#position, this.#position + batch)
    this.#position += indices.length
    return { indices, epoch: this.#epoch }
  }

  /** [n, 2]: rows down and columns to the right. */
  moves(count: number, shift: number): Int32Array {
    const range = 2 * shift + 1
    return Int32Array.from({ length: 2 * count }, () => this.#shifts.integer(range) - shift)
  }

  #beginEpoch(): void {
    // One generator makes every order: its state after a permutation is the state before the next.
    const random = Random.restore(this.#orderState)
    random.permutation(this.#count)
    this.#orderState = random.state
    this.#order = random.permutation(this.#count)
    this.#epoch += 1
    this.#position = 0
  }
}

function stateFrom(state: unknown, count: number): LoaderState {
  if (!isObject(state)) throw unexpected('the state of a loader', 'state', state)
  return {
    epoch: integer(0)(state.epoch, 'state.epoch'),
    position: integer(0, count)(state.position, 'state.position'),
    seed: seed(state.seed, 'state.seed'),
    order: Random.restore(state.order as RandomState).state,
    shifts: Random.restore(state.shifts as RandomState).state,
  }
}

/**
 * The batches of a dataset in its own order, once, and one read ahead: what evaluation reads. Images that could not
 * be read are left out, so that a batch may be smaller, and empty.
 */
export async function* batchesOf(data: Dataset, batch: number): AsyncGenerator<Images> {
  const begin = (start: number): Promise<Images> | undefined => {
    if (start >= data.count) return undefined
    const count = Math.min(batch, data.count - start)
    const images = readImages(
      data,
      Int32Array.from({ length: count }, (_, position) => start + position),
    )
    images.catch(() => undefined)
    return images
  }
  let ahead = begin(0)
  try {
    for (let start = batch; ahead !== undefined; start += batch) {
      const images = await ahead
      ahead = begin(start)
      yield images
    }
  } finally {
    // A reader that stops early is not left with a read under way.
    await ahead?.catch(() => undefined)
  }
}
