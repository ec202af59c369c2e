import { VggError } from '../error.js'
import { endsOf, type Layer, tensorsBetween } from '../layer.js'
import { instanceOf, readOptions, text, unexpected, unknownName } from '../options.js'
import type { NativeInput } from '../platform/native.js'
import { elementCount, otherDtype, shapeText, Tensor, valuesOf } from '../tensor.js'

/** Augmentation of a batch on the device (Sect. 3.1): horizontal flips and colour shifts. */
export interface Augment {
  /** One number for each image: 1 to flip it left to right, otherwise 0. */
  flip?: Uint8Array | undefined
  /** Colour shift [n, channels], flat: added to every pixel of the channel, in the pixel scale of the input (0..255). */
  shift?: Float32Array | undefined
}

type Numbers = Float32Array | Uint8Array | Int32Array

/** A copy of a typed array, in memory of its own. */
export function copyOfNumbers(data: Numbers): Numbers {
  // not data.slice(), which shares memory when data is a Buffer
  if (data instanceof Float32Array) return new Float32Array(data)
  return data instanceof Int32Array ? new Int32Array(data) : new Uint8Array(data)
}

/** The array for the native side, which must not read memory that another thread may write to: shared memory is copied. */
export function unshared<A extends Numbers>(data: A): A {
  return data.buffer instanceof SharedArrayBuffer ? (copyOfNumbers(data) as A) : data
}

function perImage<A extends Float32Array | Uint8Array>(
  value: unknown,
  name: string,
  type: abstract new (...given: never[]) => A,
  length: number,
): A | undefined {
  if (value === undefined) return undefined
  const data = instanceOf(type)(value, name)
  if (data.length === length) return unshared(data)
  throw new VggError('SHAPE_MISMATCH', `Expected ${length} elements for ${name} but received ${data.length}`)
}

function augmentOf(augment: unknown, images: number, channels: number): Pick<NativeInput, 'flip' | 'shift'> {
  const take = {
    flip: (value: unknown) => perImage(value, 'augment.flip', Uint8Array, images),
    shift: (value: unknown) => perImage(value, 'augment.shift', Float32Array, images * channels),
  }
  const { flip, shift } = readOptions(augment, 'augment', take)
  const wrong = flip?.findIndex((value) => value > 1) ?? -1
  if (wrong !== -1) throw unexpected('0 or 1', `augment.flip[${wrong}]`, flip?.[wrong])
  return { ...(flip && { flip }), ...(shift && { shift }) }
}

/** The index of the channels among the axes of images. */
const channelAxis = { uint8: 3, float32: 1 } as const

type ImageDtype = keyof typeof channelAxis

/** The shape [n, ...] that images without a batch or channel axis probably have; others stay as they are. */
function withAllAxes(shape: readonly number[], dtype: ImageDtype, channels: number): readonly number[] {
  if (shape.length === 3 && (shape[0] === channels || shape[2] === channels)) return [1, ...shape]
  if (channels !== 1 || shape.length < 2 || shape.length > 3) return shape
  const [n, height, width] = shape.length === 3 ? shape : [1, ...shape]
  return (dtype === 'uint8' ? [n, height, width, 1] : [n, 1, height, width]) as number[]
}

/** Values of an image that are looked at, which takes microseconds. */
const mostSampled = 4096

/** The least and the largest of a sample of the values; NaN if one of them is. */
function rangeOf(values: Float32Array | Uint8Array): [least: number, most: number] {
  const step = Math.ceil(values.length / mostSampled)
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let index = 0; index < values.length; index += step) {
    least = Math.min(least, values[index] ?? 0)
    most = Math.max(most, values[index] ?? 0)
  }
  return [least, most]
}

/** What to type for images in the order of the other element type, with all axes. */
function orderCure(shape: readonly number[], data: Float32Array | Uint8Array, channels: number): string {
  const [least, most] = rangeOf(data)
  const [n, a, b, c] = shape
  if (data instanceof Uint8Array) {
    const converted = `Tensor.from(Float32Array.from(await x.data()), ${shapeText(shape)})`
    return `; channels first is the order of float32 images: use ${converted}`
  }
  // with one channel, both orders are the same
  if (channels === 1) return `; channels come first: use Tensor.from(await x.data(), [${n}, 1, ${a}, ${b}])`
  // a Uint8Array would not hold them
  if (!(least >= 0 && most <= 255)) return `; move the channels first: [${n}, ${c}, ${a}, ${b}]`
  const scale = most <= 1 ? ', (value) => 255 * value' : ''
  const converted = `Tensor.from(Uint8Array.from(await x.data()${scale}), ${shapeText(shape)})`
  return `; channels last is the order of uint8 images: use ${converted}`
}

/** What to type for images whose shape is refused; empty if it is not recognised. */
function shapeCure(shape: readonly number[], data: Float32Array | Uint8Array, channels: number): string {
  const dtype = data instanceof Uint8Array ? 'uint8' : 'float32'
  const whole = withAllAxes(shape, dtype, channels)
  const other = dtype === 'uint8' ? 'float32' : 'uint8'
  const fitting = ([dtype, other] as const).find((one) => whole.length === 4 && whole[channelAxis[one]] === channels)
  if (fitting === dtype) {
    const axis = whole[0] === 1 && shape.length === 3 ? 'the batch axis is missing' : 'an axis is missing'
    return `; ${axis}: use Tensor.from(await x.data(), ${shapeText(whole)})`
  }
  if (fitting === other) return orderCure(whole, data, channels)
  const received = whole.length === 4 ? whole[channelAxis[dtype]] : undefined
  if (received === 4 && channels === 3) return '; leave out the fourth channel, which is transparency'
  if (received !== 1 && received !== 3) return ''
  return `; create the network with channels: ${received}, or convert the images to ${channels} channels`
}

function notTensor(images: unknown, name: string, channels: number): VggError {
  const isFloat = images instanceof Float32Array
  if (!isFloat && !(images instanceof Uint8Array)) {
    const cure =
      typeof images === 'string' ? 'classify(net, path) takes a file, and readImage returns its pixels' : undefined
    return unexpected('a Tensor', name, images, cure)
  }
  const shape = isFloat ? `[n, ${channels}, height, width]` : `[n, height, width, ${channels}]`
  return unexpected('a Tensor', name, images, `use Tensor.from(x, ${shape})`)
}

/** A rank's part of a batch, for the native side, if it is a tensor of images without any image; otherwise undefined. */
export function noImages(images: unknown, from: unknown): NativeInput | undefined {
  if (!(images instanceof Tensor) || images.shape.length !== 4 || images.shape[0] !== 0) return undefined
  const data = valuesOf(images)
  if (data instanceof Int32Array) return undefined
  return { data, shape: [...images.shape], ...(from !== undefined && { from: text(from, 'from') }) }
}

/** Calls of a network whose first image is looked at, so that blank images do not hide the scale of the others. */
const mostLooks = 4

/** The images that a network is given, or the values of one of its tensors, checked for the native side. */
export class ImageInput {
  readonly #channels: number
  /** The tensors that may be given instead of images, with their channels. */
  readonly #tensors: ReadonlyMap<string, number>
  /** Number of calls whose first image is still looked at for its scale. */
  #looks: number

  /** @param layers the layers of the network */
  constructor(layers: readonly Layer[]) {
    const { input, channels } = endsOf(layers)
    this.#channels = channels
    this.#tensors = tensorsBetween(layers)
    // such a mean or scale is for pixels from 0 to 255
    this.#looks = input.mean.some((mean) => mean > 1) || input.scale.some((scale) => scale < 0.1) ? mostLooks : 0
  }

  /**
   * Images for the native side, with type, rank and channels checked; there must be at least one image.
   * @param from name of the tensor whose values are given instead of images
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED
   */
  read(images: unknown, augment?: unknown, from?: unknown): NativeInput {
    if (from !== undefined) return this.#readValues(images, augment, text(from, 'from'))
    const channels = this.#channels
    if (!(images instanceof Tensor)) throw notTensor(images, 'images', channels)
    const data = valuesOf(images)
    const { shape } = images
    if (data instanceof Int32Array) throw otherDtype('a float32 or uint8 tensor', 'images', images, 'uint8')
    const dtype = data instanceof Uint8Array ? 'uint8' : 'float32'
    if (shape.length !== 4 || shape[channelAxis[dtype]] !== channels) {
      const order = dtype === 'uint8' ? `[n, height, width, ${channels}]` : `[n, ${channels}, height, width]`
      const message = `Expected a ${dtype} tensor of shape ${order} for images but received shape ${shapeText(shape)}`
      throw new VggError('SHAPE_MISMATCH', `${message}${shapeCure(shape, data, channels)}`)
    }
    if (elementCount(shape) === 0) {
      const message = `Expected at least one image of at least one pixel for images but received shape ${shapeText(shape)}`
      throw new VggError('INVALID_ARGUMENT', message)
    }
    if (this.#looks > 0) this.#look(data.subarray(0, elementCount(shape.slice(1))))
    return { data: unshared(data), shape: [...shape], ...augmentOf(augment, shape[0] ?? 0, channels) }
  }

  /** The values of a tensor, as `features` returns them. */
  #readValues(values: unknown, augment: unknown, from: string): NativeInput {
    const channels = this.#tensors.get(from)
    if (channels === undefined) throw unknownName(from, 'from', [...this.#tensors.keys()])
    if (augment !== undefined) throw unexpected('no augmentation of a tensor inside the network', 'augment', augment)
    const name = `the values of '${from}'`
    if (!(values instanceof Tensor)) throw unexpected('a Tensor', name, values)
    const data = valuesOf(values)
    if (!(data instanceof Float32Array)) throw otherDtype('a float32 tensor', name, values, 'float32')
    const { shape } = values
    // features returns [n, c] for a linear layer
    const whole = shape.length === 2 ? [...shape, 1, 1] : [...shape]
    if (whole.length === 4 && whole[1] === channels && data.length > 0)
      return { data: unshared(data), shape: whole, from }
    const message = `Expected shape [n, ${channels}, h, w] for ${name} but received shape ${shapeText(shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }

  /** Warns once of an image whose values, by a sample, are all from 0 to 1. */
  #look(image: Float32Array | Uint8Array): void {
    this.#looks -= 1
    const [least, most] = rangeOf(image)
    if (!(least >= 0 && most > 0 && most <= 1)) return
    this.#looks = 0
    process.emitWarning(
      'All pixels of the first image are from 0 to 1, but the mean and scale of this network are for 0 to 255: multiply the pixels by 255, or create the network with meanRgb and scale for 0 to 1',
      { type: 'VggPixelWarning', code: 'VGGNET_PIXEL_SCALE' },
    )
  }
}
