import { integer, isObject, readOptions, seed, unexpected, withDefault } from '../options.js'
import { Random, type RandomState } from '../random.js'
import { Tensor } from '../tensor.js'
import { type Dataset, datasetCheck, imageBytes } from './dataset.js'
import { shiftImages } from './shift.js'

/** A few pictures with their labels, as `Network.step` takes them. */
export interface Batch {
  /** uint8 [n, height, width, channels]; memory of its own, new with each batch. */
  readonly images: Tensor<'uint8'>
  /** [n], the classes. */
  readonly labels: Int32Array
}

/** How a loader goes through its data. */
export interface LoaderOptions {
  /** Pictures per batch, from 1. The last batch of an epoch is smaller where the count is no multiple. */
  batch: number
  /** Seed of order and shifts: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number
  /** Moves each picture by up to so many pixels along each axis, anew in each epoch. Default 0. */
  shift?: number
  /** Value of the pixels that come in at the border of a moved picture, 0 (black, the default) to 255. */
  background?: number
}

/** Where a loader stands: plain data, to be put into JSON. */
export interface LoaderState {
  /** Epochs begun and finished before this one. */
  readonly epoch: number
  /** Pictures of this epoch already given. */
  readonly position: number
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
}

/**
 * Endless batches of a dataset: each epoch goes through all pictures once, in a new random order.
 * Equal seeds give equal batches on every machine, and `restore(state)` goes on exactly where `state` was taken.
 */
export class Loader {
  readonly data: Dataset
  /** Batches in one epoch. */
  readonly batchesPerEpoch: number
  readonly #batch: number
  readonly #shift: number
  readonly #background: number
  #epoch = 0
  #position = 0
  #orderState: RandomState
  #shifts: Random
  #order: Int32Array

  /** @throws VggError INVALID_ARGUMENT */
  constructor(data: Dataset, options: LoaderOptions) {
    this.data = datasetCheck(data, 'data')
    const read = readOptions(options, 'Loader options', checks)
    this.#batch = read.batch
    this.#shift = read.shift
    this.#background = read.background
    this.batchesPerEpoch = Math.ceil(data.count / this.#batch)
    const order = new Random(read.seed)
    this.#shifts = new Random(order.next())
    this.#orderState = order.state
    this.#order = order.permutation(data.count)
  }

  /** Where the loader stands. */
  get state(): LoaderState {
    return { epoch: this.#epoch, position: this.#position, order: this.#orderState, shifts: this.#shifts.state }
  }

  /**
   * Goes on where `state` was taken; the loader must have been made with the same data and options.
   *
   * @throws VggError INVALID_ARGUMENT
   */
  restore(state: LoaderState): void {
    if (!isObject(state)) throw unexpected('the state of a loader', 'state', state)
    const epoch = integer(0)(state.epoch, 'state.epoch')
    const position = integer(0, this.data.count)(state.position, 'state.position')
    const order = Random.restore(state.order)
    const orderState = order.state
    const shifts = Random.restore(state.shifts)
    this.#epoch = epoch
    this.#position = position
    this.#orderState = orderState
    this.#shifts = shifts
    this.#order = order.permutation(this.data.count)
  }

  /** The next batch; after the last one of an epoch comes the first of the next. */
  async next(): Promise<Batch> {
    if (this.#position >= this.data.count) this.#beginEpoch()
    const indices = this.#order.subarray(this.#position, this.#position + this.#batch)
    this.#position += indices.length
    // The draws come before the read: the state is whole at every await.
    const moves = this.#shift === 0 ? undefined : this.#drawMoves(indices.length)
    return this.#read(indices, moves)
  }

  #beginEpoch(): void {
    // One generator makes every order: its state after a permutation is the state before the next.
    const random = Random.restore(this.#orderState)
    random.permutation(this.data.count)
    this.#orderState = random.state
    this.#order = random.permutation(this.data.count)
    this.#epoch += 1
    this.#position = 0
  }

  #drawMoves(count: number): Int32Array {
    const range = 2 * this.#shift + 1
    return Int32Array.from({ length: 2 * count }, () => this.#shifts.integer(range) - this.#shift)
  }

  async #read(indices: Int32Array, moves: Int32Array | undefined): Promise<Batch> {
    const { height, width, channels } = this.data
    const pixels = new Uint8Array(indices.length * imageBytes(this.data))
    await this.data.read(indices, pixels)
    const shape = [indices.length, height, width, channels]
    const moved = moves === undefined ? pixels : shiftImages(pixels, shape, moves, this.#background)
    return { images: Tensor.from(moved, shape), labels: indices.map((index) => this.data.labels[index] ?? -1) }
  }
}

/** The batches of a dataset in its own order, once: what evaluation reads. */
export async function* batchesOf(data: Dataset, batch: number): AsyncGenerator<Batch> {
  for (let start = 0; start < data.count; start += batch) {
    const count = Math.min(batch, data.count - start)
    const indices = Int32Array.from({ length: count }, (_, place) => start + place)
    const pixels = new Uint8Array(count * imageBytes(data))
    await data.read(indices, pixels)
    const images = Tensor.from(pixels, [count, data.height, data.width, data.channels])
    yield { images, labels: data.labels.slice(start, start + count) }
  }
}
