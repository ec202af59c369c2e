import { enlarged } from '../bilinear.js'
import { type Layer, tensorNames } from '../layer.js'
import { knownTensors } from '../network/aliases.js'
import { tensorNamed } from '../network/arguments.js'
import type { Network } from '../network/network.js'
import { optional, readOptions, text, unexpected } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import type { ExplainOptions, GradCam, GradientExplanation, ImagesToExplain } from './explanation.js'
import { explainChecks, headed, readGiven } from './images.js'
import { mapsOf, normalised } from './maps.js'
import { ScoreGradient } from './score.js'

/** Options of `gradCam`. */
export interface GradCamOptions<Name extends string = string> extends ExplainOptions {
  /**
   * Tensor whose channels are weighted: 'relu5_3', 'conv4_2' before its ReLU, 'pool4', or the name of torchvision or Keras.
   * Default: the output of the last convolution, after its ReLU.
   */
  layer?: Name | undefined
}

/** The tensors that have a height and width for every image size: those below the first linear layer and the scores. */
function tensorsWithPositions(layers: readonly Layer[]): string[] {
  const end = layers.findIndex(({ kind }) => kind === 'linear' || kind === 'spatial-mean')
  const top = tensorNames(layers).at(-1)
  return tensorNames(end === -1 ? layers : layers.slice(0, end)).filter((name) => name !== top)
}

/** This package's name of the layer of a Grad-CAM. @throws INVALID_ARGUMENT */
function camLayer(layers: readonly Layer[], given: string | undefined): string {
  const names = tensorsWithPositions(layers)
  const last = layers.findLast((layer) => layer.kind === 'convolution' && names.includes(layer.relu ?? layer.name))
  const fallback = last?.kind === 'convolution' ? (last.relu ?? last.name) : undefined
  if (fallback === undefined) throw unexpected('a network with a convolution below its scores', 'net', layers)
  const layer = given === undefined ? fallback : tensorNamed(given, 'layer', knownTensors(layers))
  if (names.includes(layer)) return layer
  throw unexpected('a tensor of a convolution or pool', 'layer', given, `the last convolution is '${fallback}'`)
}

/**
 * Grad-CAM (Selvaraju et al. 2017): the channels of a layer, weighted by the mean gradient of the score of a class with respect
 * to each of them, and summed; negative sums are 0. The scores are those before the soft-max. Results equal pytorch-grad-cam's.
 * @param images a tensor as `forward` takes it, of the network's size or larger; or image files, read as `classify` reads them
 * @throws INVALID_ARGUMENT for a class that does not exist, a layer without height and width, a network without a head;
 *   SHAPE_MISMATCH, NOT_FINITE, ABORTED, FILE_NOT_FOUND, FILE_FORMAT
 */
export async function gradCam<Name extends string>(
  net: Network<Name>,
  images: ImagesToExplain,
  options: GradCamOptions<NoInfer<Name>> = {},
): Promise<GradCam> {
  const plain = headed(net, 'gradCam')
  const read = readOptions(options, 'gradCam options', { ...explainChecks, layer: optional(text) })
  const layer = camLayer(net.layers, read.layer)
  const given = await readGiven(plain, images, read)
  const score = new ScoreGradient(plain, given, read.signal)
  const top = tensorNames(net.layers).at(-1) as string
  const activations: Tensor<'float32'>[] = []
  const cotangents = {
    [top]: (values: Record<string, Tensor<'float32'>>) => score.at(values[top] as Tensor<'float32'>),
    // adds nothing to the gradient: it is given the values of the same forward pass
    [layer]: (values: Record<string, Tensor<'float32'>>) => {
      const own = values[layer] as Tensor<'float32'>
      activations.push(own)
      return Tensor.zeros(own.shape)
    },
  }
  const found = await plain.vjp(given.images, cotangents, { wrt: [layer], microBatch: read.batch })
  const gradients = found[layer] as Tensor<'float32'>
  const [count = 0, channels = 0, height = 0, width = 0] = gradients.shape
  const parts = activations.flatMap((part) =>
    Array.from({ length: part.shape[0] ?? 0 }, (_, row) => part.slice(row, row + 1)),
  )
  const layerMaps = mapsOf([count, height, width], gradients, (values, image) =>
    weighted(values, valuesOf(parts[image] as Tensor<'float32'>), channels),
  )
  const { size } = given
  const maps = mapsOf([count, size.height, size.width], layerMaps, (map) =>
    normalised(enlarged(normalised(map), { height, width }, size)),
  )
  return { method: 'grad-cam', images: given.images, classes: score.found, maps, layer: read.layer ?? layer, layerMaps }
}

/** The sum of the channels [c, h, w], weighted by their mean gradients; at least 0. */
function weighted(gradients: Float32Array, channelValues: Float32Array, channels: number): Float32Array {
  const area = gradients.length / channels
  const sums = new Float64Array(area)
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * area
    const weight = gradients.subarray(start, start + area).reduce((sum, value) => sum + value, 0) / area
    for (let position = 0; position < area; position++)
      sums[position] = (sums[position] ?? 0) + weight * (channelValues[start + position] ?? 0)
  }
  return Float32Array.from(sums, (sum) => Math.max(sum, 0))
}

/**
 * Saliency (Simonyan et al. 2014): the gradient of the score of a class with respect to the pixels; the map is the largest
 * absolute value of the channels.
 * @param images as for {@link gradCam}
 * @throws the errors of {@link gradCam}
 */
export function saliency(
  net: Network,
  images: ImagesToExplain,
  options: ExplainOptions = {},
): Promise<GradientExplanation> {
  return pixelGradients(net, images, options, { method: 'saliency', call: 'saliency', guided: false })
}

/**
 * Guided backpropagation (Springenberg et al. 2015): as {@link saliency}, but no negative gradient passes a ReLU, so that
 * patterns that raise the score stand out. The result is not a derivative.
 * @param images as for {@link gradCam}
 * @throws the errors of {@link gradCam}
 */
export function guidedBackprop(
  net: Network,
  images: ImagesToExplain,
  options: ExplainOptions = {},
): Promise<GradientExplanation> {
  return pixelGradients(net, images, options, { method: 'guided-backprop', call: 'guidedBackprop', guided: true })
}

async function pixelGradients(
  net: Network,
  given: ImagesToExplain,
  options: ExplainOptions,
  { method, call, guided }: { method: GradientExplanation['method']; call: string; guided: boolean },
): Promise<GradientExplanation> {
  headed(net, call)
  const read = readOptions(options, `${call} options`, explainChecks)
  const { images, size, ...more } = await readGiven(net, given, read)
  const score = new ScoreGradient(net, more, read.signal)
  const top = tensorNames(net.layers).at(-1) as string
  const cotangents = {
    [top]: (values: Record<string, Tensor<'float32'>>) => score.at(values[top] as Tensor<'float32'>),
  }
  const { image: gradients } = await net.vjp(images, cotangents, { wrt: ['image'], microBatch: read.batch, guided })
  const area = size.height * size.width
  const maps = mapsOf([size.images, size.height, size.width], gradients, (values) =>
    Float32Array.from({ length: area }, (_, pixel) => {
      let largest = 0
      for (let at = pixel; at < values.length; at += area) largest = Math.max(largest, Math.abs(values[at] ?? 0))
      return largest
    }),
  )
  return { method, images, classes: score.found, maps, gradients }
}
