import { VggError } from '../error.js'
import { floatsOf } from '../network/arguments.js'
import { finite, oneOf, readOptions, withDefault } from '../options.js'
import { type NativeTensor, native } from '../platform/native.js'
import { shapeText, Tensor } from '../tensor.js'

/** A loss, and its gradient with respect to the first argument of the function that computed it, of its shape. */
export interface Loss {
  /** The loss. */
  readonly loss: number
  /** Its gradient, float32. */
  readonly gradient: Tensor<'float32'>
}

/** Options of a loss. */
export interface LossOptions {
  /** Whether the loss is the mean over all elements of the batch, or their sum. Default 'mean'. */
  reduction?: 'mean' | 'sum' | undefined
  /** What the loss and its gradient are multiplied by. Default 1. */
  weight?: number | undefined
}

/** The checks of the options of every loss. */
export const lossChecks = {
  reduction: withDefault(oneOf('mean', 'sum'), 'mean'),
  weight: withDefault(finite, 1),
}

/** A float32 tensor [n, c, h, w] for the native side. @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED */
export function mapsOf(tensor: unknown, name: string): NativeTensor {
  const { data, shape } = floatsOf(tensor, name)
  // features returns [n, c] for a linear layer
  const maps = shape.length === 2 ? [...shape, 1, 1] : shape
  if (maps.length === 4 && data.length > 0) return { data, shape: maps }
  throw new VggError('SHAPE_MISMATCH', `Expected shape [n, c, h, w] for ${name} but received shape ${shapeText(shape)}`)
}

/** The values of a target, of just this shape. */
function targetOf(target: unknown, shape: readonly number[]): Float32Array {
  const given = floatsOf(target, 'target')
  if (shapeText(given.shape) === shapeText(shape)) return given.data
  const message = `Expected shape ${shapeText(shape)} for target but received shape ${shapeText(given.shape)}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/** What a sum over `count` elements is multiplied by. */
const factorOf = ({ reduction, weight }: { reduction: 'mean' | 'sum'; weight: number }, count: number): number =>
  reduction === 'mean' ? weight / count : weight

/**
 * Computes the squared error, the sum or mean of (x - target)^2, off the event loop. The arrays of both tensors must not change
 * until the promise is settled.
 * @param x float32 [n, c, h, w]
 * @param target float32 of the same shape
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED
 */
export async function squaredError(x: Tensor, target: Tensor, options?: LossOptions): Promise<Loss> {
  const { data, shape } = mapsOf(x, 'x')
  const factor = factorOf(readOptions(options, 'squaredError options', lossChecks), data.length)
  const gradient = new Float32Array(data.length)
  const loss = await native().squaredError({ x: data, target: targetOf(target, x.shape), shape, factor, gradient })
  return { loss, gradient: Tensor.from(gradient, x.shape) }
}

/**
 * Computes the Gram matrix of each image: F F^T / (c h w), F the values as a matrix [c, h w] (Gatys et al. 2016; divided as by
 * Johnson et al. 2016). They do not depend on the size of the image.
 * @param x float32 [n, c, h, w]
 * @returns float32 [n, c, c]
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED
 */
export async function gramMatrices(x: Tensor): Promise<Tensor<'float32'>> {
  const { data, shape } = mapsOf(x, 'x')
  const [n = 0, c = 0] = shape
  const gram = new Float32Array(n * c * c)
  await native().gramMatrices({ x: data, shape, factor: n / data.length, gram })
  return Tensor.from(gram, [n, c, c])
}

/**
 * Computes the squared error of the Gram matrices of x, as `gramMatrices` returns them.
 * @param x float32 [n, c, h, w]
 * @param target float32 [n, c, c], the Gram matrices of another image, of any size
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED
 */
export async function gramError(x: Tensor, target: Tensor, options?: LossOptions): Promise<Loss> {
  const { data, shape } = mapsOf(x, 'x')
  const [n = 0, c = 0] = shape
  const factor = factorOf(readOptions(options, 'gramError options', lossChecks), n * c * c)
  const gradient = new Float32Array(data.length)
  const call = { x: data, target: targetOf(target, [n, c, c]), shape, factor, gradient }
  const loss = await native().gramError({ ...call, gramFactor: n / data.length })
  return { loss, gradient: Tensor.from(gradient, x.shape) }
}

/**
 * Computes the total variation of images: the sum of the absolute differences of neighbours in rows and columns, as
 * TensorFlow's `image.total_variation`; 'mean' divides by the number of elements. Where neighbours are equal its gradient is 0.
 * @param image float32 [n, c, h, w]
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, DISPOSED
 */
export async function totalVariation(image: Tensor, options?: LossOptions): Promise<Loss> {
  const { data, shape } = mapsOf(image, 'image')
  const factor = factorOf(readOptions(options, 'totalVariation options', lossChecks), data.length)
  const gradient = new Float32Array(data.length)
  const loss = await native().totalVariation({ x: data, shape, factor, gradient })
  return { loss, gradient: Tensor.from(gradient, image.shape) }
}
