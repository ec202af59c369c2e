import { inspect } from 'node:util'
import { VggError } from './error.js'
import { availableMainMemory } from './main-memory.js'
import { finite, integer, nonNegative, oneOf, readable, readOptions, seed, unexpected, withDefault } from './options.js'
import { fillNormal } from './random.js'
import { bytesText } from './table.js'

/** Element type of a tensor. Images are [n, h, w, c] in uint8 and [n, c, h, w] in float32. */
export type DType = 'float32' | 'uint8' | 'int32'

/** Typed array for each element type. */
export interface ArrayOf {
  /** Array of 32-bit floating-point numbers: logits, features, parameters. */
  float32: Float32Array
  /** Array of integers from 0 to 255: pixels. */
  uint8: Uint8Array
  /** Array of 32-bit integers: labels. */
  int32: Int32Array
}

const arrays = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array } as const

const axisLength = integer(0)

/** Number of elements of a shape. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Formats a shape for messages: `[1, 3, 224, 224]`. */
export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

function checkedShape(shape: unknown): readonly number[] {
  const lengths = readable('shape', () => {
    if (!Array.isArray(shape)) throw unexpected('an array of axis lengths', 'shape', shape)
    return Array.from(shape, (length, axis) => axisLength(length, `shape[${axis}]`))
  })
  if (!Number.isSafeInteger(elementCount(lengths))) throw unexpected('a shape that memory can hold', 'shape', shape)
  return Object.freeze(lengths)
}

function typedCure(data: unknown): string | undefined {
  if (data instanceof ArrayBuffer) return 'use new Uint8Array(buffer) for pixels'
  if (!Array.isArray(data) && !ArrayBuffer.isView(data)) return undefined
  return 'use Uint8Array.from(data) for pixels, Float32Array.from(data) for other numbers'
}

function allocate<D extends DType>(dtype: D, shape: readonly number[]): ArrayOf[D] {
  const count = elementCount(shape)
  try {
    return new arrays[dtype](count) as ArrayOf[D]
  } catch (cause) {
    const bytes = count * arrays[dtype].BYTES_PER_ELEMENT
    const takes = `A ${dtype} tensor of shape ${shapeText(shape)} takes ${bytes} bytes (${bytesText(bytes)})`
    const message = `${takes}, which cannot be allocated; ${bytesText(availableMainMemory())} are available: use fewer images at a time`
    throw new VggError('OUT_OF_MEMORY', message, { cause })
  }
}

/** Whether the buffer of an array was detached; false for a plain array. */
export function isDetached(data: unknown): boolean {
  if (!ArrayBuffer.isView(data)) return false
  // ArrayBuffer.prototype.detached exists only since Node 21; creating an array on a detached buffer always throws
  try {
    new Uint8Array(data.buffer)
    return false
  } catch {
    return true
  }
}

const lostMemory = 'buffer was detached or resized: transfer a copy to a worker, array.slice()'

/** The end of a message about the length of an array that has lost its memory; empty for other arrays. */
export const detachedText = (data: unknown): string => (isDetached(data) ? `; its ${lostMemory}` : '')

/** Creates the error for a tensor of another element type, with the call that converts it to `into`. */
export function otherDtype(what: string, name: string, { dtype, shape }: Tensor, into: DType): VggError {
  const received = `${dtype === 'int32' ? 'an' : 'a'} ${dtype} tensor of shape ${shapeText(shape)}`
  const cure = `use Tensor.from(${arrays[into].name}.from(await x.data()), ${shapeText(shape)})`
  return new VggError('INVALID_ARGUMENT', `Expected ${what} for ${name} but received ${received}; ${cure}`)
}

/** Creates the error for a tensor or images whose memory was taken away. */
export const detached = (shape: readonly number[]): VggError =>
  new VggError(
    'INVALID_ARGUMENT',
    `Expected an array with its memory for the shape ${shapeText(shape)} but received one whose ${lostMemory}`,
  )

/** The elements of a tensor, without a copy, synchronously. Internal: programs use `data()`. */
export let valuesOf: <D extends DType>(tensor: Tensor<D>) => ArrayOf[D]

/**
 * An array of numbers with a shape. `from` and `slice` share memory and copy nothing; `dispose` releases it. A call of a
 * network copies its tensors before it returns its promise; they may then be changed or disposed of.
 */
export class Tensor<D extends DType = DType> {
  /** Element type. */
  readonly dtype: D
  /** Axis lengths, outermost first. The array is frozen. */
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
   * Creates a tensor that shares the memory of `data`: changes of the array are changes of the tensor.
   * @param shape axis lengths. Default: one axis with all elements
   * @throws INVALID_ARGUMENT for other array types and detached arrays, SHAPE_MISMATCH if the number of elements differs
   */
  static from(data: Float32Array, shape?: readonly number[]): Tensor<'float32'>
  static from(data: Uint8Array, shape?: readonly number[]): Tensor<'uint8'>
  static from(data: Int32Array, shape?: readonly number[]): Tensor<'int32'>
  static from(data: Float32Array | Uint8Array | Int32Array, shape?: readonly number[]): Tensor
  static from(data: Float32Array | Uint8Array | Int32Array, shape?: readonly number[]): Tensor {
    const dtype = (Object.keys(arrays) as DType[]).find((name) => data instanceof arrays[name])
    if (dtype === undefined) throw unexpected('a Float32Array, Uint8Array or Int32Array', 'data', data, typedCure(data))
    const lengths = checkedShape(shape ?? [data.length])
    if (isDetached(data)) throw detached(lengths)
    if (elementCount(lengths) === data.length) return new Tensor(dtype, lengths, data)
    throw new VggError(
      'SHAPE_MISMATCH',
      `Expected ${elementCount(lengths)} elements for shape ${shapeText(lengths)} but received ${data.length}`,
    )
  }

  /**
   * Creates a tensor of zeros of the element type `options.dtype`, by default float32.
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
   * Creates a float32 tensor of normally distributed numbers. Element i depends only on the seed and i, and is equal on
   * every machine (Philox4x32-10).
   * @param options seed: an integer from 0 to 2^53 - 1; mean: default 0; std: standard deviation, at least 0, default 1
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
   * Returns the elements in row-major order. The array is the tensor's memory, not a copy.
   * @throws DISPOSED
   */
  async data(): Promise<ArrayOf[D]> {
    return this.#open()
  }

  /**
   * Returns the elements from `start` to below `end` along the first axis. The result shares memory with this tensor, and
   * remains valid after it is disposed of.
   * @param start an index from 0 to `end`
   * @param end an index up to the length of the first axis. Default: that length
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
   * Returns the index of the largest element of each row of [n, classes], or of [classes]. Among equal elements it is the
   * first; NaN counts as the largest.
   * @throws SHAPE_MISMATCH for other shapes, DISPOSED
   */
  async argmax(): Promise<number[]> {
    return this.#rows('argmax').map((row) => largest(row, 1)[0]?.index ?? 0)
  }

  /**
   * Returns the `k` largest elements of each row of [n, classes], or of [classes], in descending order. Equal elements are
   * ordered by index; NaN counts as the largest.
   * @param k an integer from 1 to the number of classes
   * @returns for each row, indices and values
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH for other shapes, DISPOSED
   */
  async topk(k: number): Promise<{ index: number; value: number }[][]> {
    const rows = this.#rows('topk')
    integer(1, this.shape.at(-1))(k, 'k')
    return rows.map((row) => largest(row, k))
  }

  /**
   * Computes the softmax over the classes: axis 1 of [n, classes] and [n, classes, h, w], axis 0 of [classes].
   * @returns a new float32 tensor of the same shape
   * @throws INVALID_ARGUMENT unless float32, SHAPE_MISMATCH without an axis, DISPOSED
   */
  async softmax(): Promise<Tensor<'float32'>> {
    const values = this.#open()
    if (this.dtype !== 'float32') throw otherDtype('a float32 tensor', 'softmax', this, 'float32')
    if (this.shape.length === 0) throw this.#rankError('at least one axis', 'softmax')
    const [images, classes, ...map] = this.shape.length === 1 ? [1, ...this.shape] : this.shape
    const result = allocate('float32', this.shape)
    softmaxInto(result, values as Float32Array, [images ?? 1, classes ?? 1, elementCount(map)])
    return new Tensor('float32', this.shape, result)
  }

  /** Releases the memory. Later calls throw DISPOSED, except `dispose`. */
  dispose(): void {
    this.#values = undefined
  }

  /** Calls `dispose`: `using x = Tensor.zeros(...)` disposes at the end of the block (Node 24, or compiled by tsc). */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal */
  [inspect.custom](): string {
    return `Tensor ${this.dtype} ${shapeText(this.shape)}${this.#values === undefined ? ' (disposed)' : ''}`
  }

  #open(): ArrayOf[D] {
    if (this.#values === undefined) {
      throw new VggError(
        'DISPOSED',
        `The ${this.dtype} tensor of shape ${shapeText(this.shape)} was disposed: call dispose() after its last use`,
      )
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

// NaN counts as the largest, so that it is seen
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

// sizes of input and result: images, classes, positions of the class map
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
