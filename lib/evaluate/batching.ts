import { VggError } from '../error.js'
import { copyOfNumbers } from '../network/images.js'
import { Network } from '../network/network.js'
import { arrayOf, instanceOf, integer, optional, readOptions, text, unexpected, withDefault } from '../options.js'
import { elementCount, shapeText, Tensor, valuesOf } from '../tensor.js'

/** Options of `batching`. */
export interface BatchingOptions {
  /** Largest number of images in a batch, 1 to 1024. Default 32. */
  maxBatch?: number | undefined
  /**
   * Milliseconds that the first request of an idle network waits for others, 0 to 60,000. While the network computes,
   * requests gather without it. Default 0: those of one turn of the event loop become a batch.
   */
  maxDelayMs?: number | undefined
  /** Largest number of requests that wait or are computed; further ones are refused with QUEUE_FULL. Default 1024. */
  maxQueue?: number | undefined
}

/** Options of one request to `Batching`. */
export interface BatchedOptions {
  /** Ends the request: its promise rejects with the signal's reason, and it leaves its batch unless that is being computed. */
  signal?: AbortSignal | undefined
}

interface Request {
  /** Equal for requests that can be in one batch. */
  readonly key: string
  /** The tensors that are asked for; undefined for logits. */
  readonly names: readonly string[] | undefined
  readonly pixels: ReturnType<typeof copyOfNumbers>
  readonly shape: readonly number[]
  resolve(results: readonly Tensor<'float32'>[]): void
  reject(error: unknown): void
}

/**
 * The sizes of batches, the largest first: 1, 2, 3, 4, 6, 8, 12 ... and `maxBatch`. A network plans each size once and keeps
 * 16 plans; among all sizes it would plan for ever.
 */
function batchSizes(maxBatch: number): number[] {
  const sizes = Array.from({ length: 11 }, (_, power) => 2 ** power).flatMap((size) => [size, 1.5 * size])
  const fitting = sizes.filter((size) => Number.isInteger(size) && size < maxBatch)
  return [maxBatch, ...fitting.sort((a, b) => b - a)]
}

const batchingChecks = {
  maxBatch: withDefault(integer(1, 1024), 32),
  maxDelayMs: withDefault(integer(0, 60_000), 0),
  maxQueue: withDefault(integer(1), 1024),
}

const requestChecks = { signal: optional(instanceOf(AbortSignal)) }

/**
 * Computes concurrent requests of one image each as batches of a network, as `batching` returns it. Requests are computed in
 * the order in which they were made; those of another size, element type or set of tensors are in batches of their own, so
 * that a wrong image fails none but its like.
 */
export class Batching<TensorName extends string = string> {
  readonly #net: Network<TensorName>
  readonly #sizes: readonly number[]
  readonly #maxDelayMs: number
  readonly #maxQueue: number
  #waiting: Request[] = []
  #computed = 0
  #working: Promise<void> | undefined
  #isClosed = false
  /** Ends the delay of a first request. */
  #start: () => void = () => undefined

  /** @internal Use `batching`. */
  constructor(net: Network<TensorName>, options: BatchingOptions) {
    const { maxBatch, maxDelayMs, maxQueue } = readOptions(options, 'batching options', batchingChecks)
    this.#net = net
    this.#sizes = batchSizes(maxBatch)
    this.#maxDelayMs = maxDelayMs
    this.#maxQueue = maxQueue
  }

  /** Number of requests that wait or are computed. */
  get size(): number {
    return this.#waiting.length + this.#computed
  }

  /**
   * Computes the logits of an image. Its pixels are copied before the promise is returned.
   * @param image as `Network.forward` takes it, with n = 1
   * @returns logits [1, classes]; `softmax` makes probabilities of them
   * @throws QUEUE_FULL; DISPOSED after `close`; the signal's reason; the errors of `Network.forward`
   */
  async forward(image: Tensor, options?: BatchedOptions): Promise<Tensor<'float32'>> {
    const [logits] = await this.#request(image, undefined, options)
    return logits as Tensor<'float32'>
  }

  /**
   * Computes tensors inside the network for an image, as `Network.features` does.
   * @param image as `Network.forward` takes it, with n = 1
   * @throws QUEUE_FULL; DISPOSED after `close`; the signal's reason; the errors of `Network.features`
   */
  async features<const Name extends TensorName>(
    image: Tensor,
    names: readonly Name[],
    options?: BatchedOptions,
  ): Promise<{ [Key in Name]: Tensor<'float32'> }> {
    const wanted = [...new Set(arrayOf(text)(names, 'names'))]
    const found = await this.#request(image, wanted, options)
    return Object.fromEntries(wanted.map((name, index) => [name, found[index]])) as { [Key in Name]: Tensor<'float32'> }
  }

  /** Accepts no more requests, and resolves when those that were accepted are answered. The network is not disposed of. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#start()
    await this.#working
  }

  /** Calls `close`: `await using batches = batching(net)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #request(
    image: Tensor,
    names: readonly string[] | undefined,
    options?: BatchedOptions,
  ): Promise<Tensor<'float32'>[]> {
    const { signal } = readOptions(options, 'request options', requestChecks)
    signal?.throwIfAborted()
    if (this.#isClosed) throw new VggError('DISPOSED', 'The batching was closed: call close() after its last request')
    if (!(image instanceof Tensor)) throw unexpected('a Tensor', 'image', image)
    const { dtype, shape } = image
    if (shape[0] !== 1) {
      const message = `Expected one image, a shape [1, ...], for a request but received shape ${shapeText(shape)}: make a request for each image`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    if (this.size >= this.#maxQueue) {
      const message = `Expected at most ${this.#maxQueue} requests at once (maxQueue): try again when others are answered`
      throw new VggError('QUEUE_FULL', message)
    }
    const pixels = copyOfNumbers(valuesOf(image))
    const key = JSON.stringify([dtype, shape, names])
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((one) => one !== request)
        request.reject(signal?.reason)
      }
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', leave)
          settle(value)
        }
      const request = { key, names, pixels, shape, resolve: settled(resolve), reject: settled(reject) }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(request as Request)
      if (this.#waiting.length >= (this.#sizes[0] ?? 1)) this.#start()
      this.#working ??= this.#work()
    })
  }

  async #work(): Promise<void> {
    await this.#others()
    while (this.#waiting.length > 0) {
      const batch = this.#next()
      this.#computed = batch.length
      try {
        const results = await this.#results(batch)
        // the next batch is started in this turn, before its callers go on
        for (const [index, { resolve }] of batch.entries()) resolve(results.map((result) => rowOf(result, index)))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
      this.#computed = 0
    }
    this.#working = undefined
  }

  /** Waits for the requests that come with the first one. */
  #others(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#maxDelayMs > 0 ? setTimeout(resolve, this.#maxDelayMs) : setImmediate(resolve)
      this.#start = () => {
        clearTimeout(timer as NodeJS.Timeout)
        resolve()
      }
    })
  }

  /** Takes the oldest request and those that fit it, as many as one of the sizes. */
  #next(): Request[] {
    const like = this.#waiting.filter(({ key }) => key === this.#waiting[0]?.key)
    const batch = like.slice(
      0,
      this.#sizes.find((size) => size <= like.length),
    )
    const taken = new Set(batch)
    this.#waiting = this.#waiting.filter((request) => !taken.has(request))
    return batch
  }

  async #results(batch: readonly Request[]): Promise<Tensor<'float32'>[]> {
    const [{ shape, names, pixels }] = batch as readonly [Request]
    const size = elementCount(shape)
    const all = new (pixels.constructor as Float32ArrayConstructor)(batch.length * size)
    for (const [index, request] of batch.entries()) all.set(request.pixels, index * size)
    const images = Tensor.from(all, [batch.length, ...shape.slice(1)])
    if (names === undefined) return [await this.#net.forward(images)]
    const found = await this.#net.features(images, names as readonly TensorName[])
    return names.map((name) => found[name as TensorName])
  }
}

/** A row of a batch's tensor, in memory of its own: it would keep the whole batch otherwise. */
function rowOf(results: Tensor<'float32'>, index: number): Tensor<'float32'> {
  const row = results.slice(index, index + 1)
  return Tensor.from(new Float32Array(valuesOf(row)), row.shape)
}

/**
 * Computes concurrent requests as batches, for a service: requests of single images become calls of the network with many.
 * The network may be used beside it.
 * @throws INVALID_ARGUMENT
 */
export function batching<TensorName extends string, LayerName extends string>(
  net: Network<TensorName, LayerName>,
  options: BatchingOptions = {},
): Batching<TensorName> {
  instanceOf(Network)(net, 'net')
  return new Batching(net as unknown as Network<TensorName>, options)
}
