import { inspect } from 'node:util'
import { VggError } from './error.js'
import { finite, integer, nonNegative, oneOf, readOptions, seed, unexpected, withDefault } from './options.js'
import { fillNormal } from './random.js'

/** The type of a tensor's elements. It fixes the order of images: uint8 is n, h, w, c and float32 is n, c, h, w. */
export type DType = 'float32' | 'uint8' | 'int32'

/** The typed array that holds elements of a type. */
export interface ArrayOf {
  /** 32-bit numbers: logits, features, parameters. */
  float32: Float32Array
  /** 0 to 255: pixels. */
  uint8: Uint8Array
  /** Labels. */
  int32: Int32Array
}

const arrays = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array } as const

const axisLength = integer(0)

/** How many elements a shape has. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** A shape as messages write it: `[1, 3, 224, 224]`. */
export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

function checkedShape(shape: unknown): readonly number[] {
  if (!Array.isArray(shape)) throw unexpected('an array of axis lengths', 'shape', shape)
  const lengths = Array.from(shape, (length, axis) => axisLength(length, `shape[${axis}]`))
  if (!Number.isSafeInteger(elementCount(lengths))) throw unexpected('a shape that memory can hold', 'shape', shape)
  return Object.freeze(lengths)
}

function allocate<D extends DType>(dtype: D, shape: readonly number[]): ArrayOf[D] {
  const count = elementCount(shape)
  try {
    return new arrays[dtype](count) as ArrayOf[D]
  } catch (cause) {
    const bytes = count * arrays[dtype].BYTES_PER_ELEMENT
    throw new VggError('OUT_OF_MEMORY', `A ${dtype} tensor of shape ${shapeText(shape)} takes ${bytes} bytes`, {
      cause,
    })
  }
}

// ArrayBuffer.prototype.detached is not there before Node 21: a view of a detached buffer throws everywhere.
function isDetached(data: ArrayBufferView): boolean {
  try {
    new Uint8Array(data.buffer)
    return false
  } catch {
    return true
  }
}

const detached = (shape: readonly number[]): VggError =>
  new VggError(
    'INVALID_ARGUMENT',
    `Expected an array with its memory for the tensor of shape ${shapeText(shape)} but received one whose buffer was detached or resized (transferred to a worker?)`,
  )

/** The elements of a tensor, without a copy and without waiting. For vggnet's own files: programs call `data()`. */
export let valuesOf: <D extends DType>(tensor: Tensor<D>) => ArrayOf[D]

/**
 * Numbers with a type and a shape. A tensor is a view: `from` and `slice` share memory, they copy nothing, and
 * `dispose` lets go of it. A call of a network copies its tensors at once, so they may be changed or disposed of
 * after the call has returned its promise.
 */
export class Tensor<D extends DType = DType> {
  /** Type of the elements. */
  readonly dtype: D
  /** Axis lengths, outermost first; frozen. */
  readonly shape: readonly number[]
  #values: ArrayOf[D] | undefined

  static {
    valuesOf = (tensor) => tensor.#open()
  }

  private constructor(dtype: D, shape: readonly number[], values: ArrayOf[D]) {
    this.dtype = dtype
    this.shape = shape
    this.#values = values
  }

  /**
   * A tensor over `data`, which stays the caller's: memory is shared, a change of the array is a change of the tensor.
   * @param shape default: one axis of all elements
   * @throws INVALID_ARGUMENT for another kind of array or a detached one, SHAPE_MISMATCH when the counts differ
   */
  static from(data: Float32Array, shape?: readonly number[]): Tensor<'float32'>
  static from(data: Uint8Array, shape?: readonly number[]): Tensor<'uint8'>
  static from(data: Int32Array, shape?: readonly number[]): Tensor<'int32'>
  static from(data: Float32Array | Uint8Array | Int32Array, shape?: readonly number[]): Tensor
  static from(data: Float32Array | Uint8Array | Int32Array, shape?: readonly number[]): Tensor {
    const dtype = (Object.keys(arrays) as DType[]).find((name) => data instanceof arrays[name])
    if (dtype === undefined) throw unexpected('a Float32Array, Uint8Array or Int32Array', 'data', data)
    const lengths = checkedShape(shape ?? [data.length])
    if (isDetached(data)) throw detached(lengths)
    if (elementCount(lengths) === data.length) return new Tensor(dtype, lengths, data)
    throw new VggError(
      'SHAPE_MISMATCH',
      `Expected ${elementCount(lengths)} elements for shape ${shapeText(lengths)} but received ${data.length}`,
    )
  }

  /**
   * A tensor of zeros in memory of its own. `dtype` is float32 unless stated.
   * @throws INVALID_ARGUMENT, OUT_OF_MEMORY
   */
  static zeros(shape: readonly number[]): Tensor<'float32'>
  static zeros<D extends DType>(shape: readonly number[], options: { dtype: D }): Tensor<D>
  static zeros(shape: readonly number[], options?: { dtype?: DType }): Tensor
  static zeros(shape: readonly number[], options?: { dtype?: DType }): Tensor {
    const checks = { dtype: withDefault(oneOf('float32', 'uint8', 'int32'), 'float32') }
    const { dtype } = readOptions(options, 'Tensor.zeros options', checks)
    const lengths = checkedShape(shape)
    return new Tensor(dtype, lengths, allocate(dtype, lengths))
  }

  /**
   * Normal numbers (float32) in memory of its own. Counter-based (Philox4x32-10): element i depends on the seed and
   * on i only, and is equal on every machine.
   * @param options seed: an integer from 0 to 2^53 - 1; mean: default 0; std: standard deviation, default 1
   * @throws INVALID_ARGUMENT, OUT_OF_MEMORY
   */
  static randn(shape: readonly number[], options: { seed: number; mean?: number; std?: number }): Tensor<'float32'> {
    const checks = { seed, mean: withDefault(finite, 0), std: withDefault(nonNegative, 1) }
    const read = readOptions(options, 'Tensor.randn options', checks)
    const lengths = checkedShape(shape)
    const values = allocate('float32', lengths)
    fillNormal(values, read.seed, read.mean, read.std)
    return new Tensor('float32', lengths, values)
  }

  /**
   * The elements in the order of the shape, last axis fastest. The array is the tensor's own memory, not a copy.
   * A promise, because the tensor may lie in a device's memory until it is read. @throws DISPOSED
   */
  async data(): Promise<ArrayOf[D]> {
    return this.#open()
  }

  /**
   * The part from `start` to below `end` along the first axis. It shares memory with this tensor, and outlives it.
   * @param start from 0 to `end`
   * @param end default: the length of the first axis
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH without an axis, DISPOSED
   */
  slice(start: number, end?: number): Tensor<D> {
    const values = this.#open()
    const length = this.shape[0]
    if (length === undefined) throw this.#rankError('at least one axis', 'slice')
    const to = end === undefined ? length : integer(0, length)(end, 'end')
    const from = integer(0, to)(start, 'start')
    const rest = this.shape.slice(1)
    const size = elementCount(rest)
    const part = values.subarray(from * size, to * size) as ArrayOf[D]
    return new Tensor(this.dtype, Object.freeze([to - from, ...rest]), part)
  }

  /**
   * For [n, classes]: the index of the largest in each row; for [classes]: one. The first of equals; a NaN is largest.
   * @throws SHAPE_MISMATCH for other shapes, DISPOSED
   */
  async argmax(): Promise<number[]> {
    return this.#rows('argmax').map((row) => largest(row, 1)[0]?.index ?? 0)
  }

  /**
   * The `k` largest in each row of [n, classes] or of [classes], largest first, of equals the first first.
   * @param k from 1 to the classes
   * @returns for each row the positions and the values
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH for other shapes, DISPOSED
   */
  async topk(k: number): Promise<{ index: number; value: number }[][]> {
    const rows = this.#rows('topk')
    integer(1, this.shape.at(-1))(k, 'k')
    return rows.map((row) => largest(row, k))
  }

  /**
   * Soft-max over the classes: over axis 1 of [n, classes] and [n, classes, h, w], over axis 0 of [classes].
   * @returns float32 of the same shape, in memory of its own
   * @throws INVALID_ARGUMENT unless float32, SHAPE_MISMATCH without an axis, DISPOSED
   */
  async softmax(): Promise<Tensor<'float32'>> {
    const values = this.#open()
    if (this.dtype !== 'float32') throw unexpected('a float32 tensor', 'softmax', this)
    if (this.shape.length === 0) throw this.#rankError('at least one axis', 'softmax')
    const [images, classes, ...map] = this.shape.length === 1 ? [1, ...this.shape] : this.shape
    const result = allocate('float32', this.shape)
    softmaxInto(result, values as Float32Array, [images ?? 1, classes ?? 1, elementCount(map)])
    return new Tensor('float32', this.shape, result)
  }

  /** Lets go of the memory. Any later use is an error with the code DISPOSED; disposing twice is none. */
  dispose(): void {
    this.#values = undefined
  }

  /** `using x = Tensor.zeros(...)` disposes at the end of the block (Node 24, or compiled by tsc). */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal */
  [inspect.custom](): string {
    return `Tensor ${this.dtype} ${shapeText(this.shape)}${this.#values === undefined ? ' (disposed)' : ''}`
  }

  #open(): ArrayOf[D] {
    if (this.#values === undefined) {
      throw new VggError('DISPOSED', `The ${this.dtype} tensor of shape ${shapeText(this.shape)} was disposed`)
    }
    if (this.#values.length !== elementCount(this.shape)) throw detached(this.shape)
    return this.#values
  }

  #rows(call: string): ArrayOf[D][] {
    const values = this.#open()
    const classes = this.shape.at(-1)
    if (classes === undefined || this.shape.length > 2) throw this.#rankError('[n, classes] or [classes]', call)
    if (classes === 0) throw this.#rankError('at least one class', call)
    const rows = values.length / classes
    return Array.from({ length: rows }, (_, row) => values.subarray(row * classes, (row + 1) * classes) as ArrayOf[D])
  }

  #rankError(what: string, call: string): VggError {
    return new VggError('SHAPE_MISMATCH', `Expected ${what} for ${call} but received shape ${shapeText(this.shape)}`)
  }
}

// NaN is above every number, so that it shows instead of passing for a class
const above = (value: number, other = Number.NEGATIVE_INFINITY): boolean =>
  value > other || (Number.isNaN(value) && !Number.isNaN(other))

function largest(row: Float32Array | Uint8Array | Int32Array, k: number): { index: number; value: number }[] {
  const found: { index: number; value: number }[] = []
  row.forEach((value, index) => {
    if (found.length === k && !above(value, found.at(-1)?.value)) return
    const after = found.findIndex((other) => above(value, other.value))
    found.splice(after === -1 ? found.length : after, 0, { index, value })
    if (found.length > k) found.pop()
  })
  return found
}

// n classes positions, for input and result
function softmaxInto(result: Float32Array, input: Float32Array, sizes: readonly [number, number, number]): void {
  const [images, classes, positions] = sizes
  for (let image = 0; image < images; image++) {
    for (let position = 0; position < positions; position++) {
      const start = image * classes * positions + position
      const end = start + classes * positions
      let maximum = Number.NEGATIVE_INFINITY
      for (let i = start; i < end; i += positions) maximum = Math.max(maximum, input[i] ?? 0)
      let sum = 0
      for (let i = start; i < end; i += positions) sum += Math.exp((input[i] ?? 0) - maximum)
      for (let i = start; i < end; i += positions) result[i] = Math.exp((input[i] ?? 0) - maximum) / sum
    }
  }
}
