import type { Network } from '../network/network.js'
import type { TensorsByName } from '../network/vjp.js'
import { arrayOf, finite, isObject, readOptions, text, unexpected } from '../options.js'
import { Tensor } from '../tensor.js'
import { gramError, gramMatrices, type Loss, type LossOptions, lossChecks, squaredError } from './errors.js'

/** Options of a loss of values inside a network. */
export interface FeatureLossOptions<Name extends string = string> extends Omit<LossOptions, 'weight'> {
  /** Tensors inside the network. */
  layers: readonly Name[]
  /** What the loss of each layer is multiplied by. Default: 1 for each. */
  weights?: readonly number[] | undefined
}

/** What an image is compared with: another image, or what was computed of it, by the names of the layers. */
export type Reference<Name extends string> = Tensor | { readonly [Key in Name]: Tensor<'float32'> }

interface Term {
  /** What is kept of the values of the other image. */
  readonly target: (values: Tensor<'float32'>) => Promise<Tensor<'float32'>> | Tensor<'float32'>
  readonly loss: (x: Tensor, target: Tensor, options: LossOptions) => Promise<Loss>
}

/** Check of weights: a finite number for each layer. */
const weightsOf = (weights: unknown, layers: readonly string[]): number[] => {
  if (weights === undefined) return layers.map(() => 1)
  if (Array.isArray(weights) && weights.length === layers.length)
    return weights.map((weight, index) => finite(weight, `weights[${index}]`))
  throw unexpected(`${layers.length} numbers, one for each layer`, 'weights', weights)
}

async function featureLoss<Name extends string>(
  net: Network<Name>,
  a: Tensor,
  b: Reference<Name>,
  options: FeatureLossOptions<Name>,
  { target, loss }: Term,
  name: string,
): Promise<Loss> {
  const checks = { layers: arrayOf(text), weights: (value: unknown) => value, reduction: lossChecks.reduction }
  const read = readOptions(options, name, checks)
  const layers = read.layers as Name[]
  if (layers.length === 0) throw unexpected('at least one layer', 'layers', layers)
  const weights = weightsOf(read.weights, layers)
  const targets = await targetsOf(net, b, layers, target)
  const losses: number[] = []
  const cotangents = layers.map((layer, index) => {
    const of = async (values: TensorsByName<Name>): Promise<Tensor<'float32'>> => {
      const found = await loss(values[layer], targets[layer], { reduction: read.reduction, weight: weights[index] })
      losses.push(found.loss)
      return found.gradient
    }
    return [layer, of] as const
  })
  const given = Object.fromEntries(cotangents) as { [Key in Name]: (typeof cotangents)[number][1] }
  const { image } = await net.vjp(a, given, { wrt: ['image'] })
  return { loss: losses.reduce((sum, one) => sum + one, 0), gradient: image }
}

async function targetsOf<Name extends string>(
  net: Network<Name>,
  b: Reference<Name>,
  layers: readonly Name[],
  target: Term['target'],
): Promise<TensorsByName<Name>> {
  if (b instanceof Tensor) {
    const values = await net.features(b, layers)
    const kept = await Promise.all(layers.map(async (layer) => [layer, await target(values[layer])] as const))
    return Object.fromEntries(kept) as TensorsByName<Name>
  }
  if (!isObject(b)) throw unexpected('a tensor of images, or tensors by the names of the layers', 'b', b)
  const missing = layers.find((layer) => !(b[layer] instanceof Tensor))
  if (missing !== undefined) throw unexpected(`a tensor for '${missing}'`, 'b', b[missing])
  return b as TensorsByName<Name>
}

/**
 * Compares images by the values that they have inside a network (Johnson et al. 2016): the sum over layers of weight times the
 * mean squared difference. One forward pass and one backward pass, in evaluation mode.
 * @param a images, uint8 [n, h, w, c] or float32 [n, c, h, w]
 * @param b as many images of the same size, or their `features` at these layers
 * @returns the loss, and its gradient with respect to `a`, float32 [n, c, h, w] per unit of the pixel scale
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, NOT_FINITE, DISPOSED
 */
export const perceptualLoss = <Name extends string>(
  net: Network<Name>,
  a: Tensor,
  b: Reference<Name>,
  options: FeatureLossOptions<Name>,
): Promise<Loss> =>
  featureLoss(net, a, b, options, { target: (values) => values, loss: squaredError }, 'perceptualLoss options')

/**
 * Compares the style of images: the sum over layers of weight times the mean squared difference of the Gram matrices.
 * @param a images, uint8 [n, h, w, c] or float32 [n, c, h, w]
 * @param b as many images of any size, or their Gram matrices at these layers, float32 [n, c, c]
 * @returns the loss, and its gradient with respect to `a`, float32 [n, c, h, w] per unit of the pixel scale
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, NOT_FINITE, DISPOSED
 */
export const gramLoss = <Name extends string>(
  net: Network<Name>,
  a: Tensor,
  b: Reference<Name>,
  options: FeatureLossOptions<Name>,
): Promise<Loss> => featureLoss(net, a, b, options, { target: gramMatrices, loss: gramError }, 'gramLoss options')
