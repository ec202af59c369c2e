import { enlarged } from '../bilinear.js'
import { VggError } from '../error.js'
import { endsOf } from '../layer.js'
import type { Network } from '../network/network.js'
import { oneOf, readOptions } from '../options.js'
import { native } from '../platform/native.js'
import { shapeText, Tensor } from '../tensor.js'
import { type Loss, mapsOf } from './errors.js'
import { lpipsWeights } from './lpips-weights.js'

/** The ranges of pixels, as the factor and the offset that make 0 to 255 of them. */
const ranges = { '-1..1': [127.5, 127.5], '0..1': [255, 0], '0..255': [1, 0] } as const

/** Options of `Lpips`. */
export interface LpipsOptions {
  /** The range of the pixels of both images. */
  range: keyof typeof ranges
}

/** Distances of pairs of images. */
export interface LpipsDistance extends Loss {
  /** The mean of the distances. */
  readonly loss: number
  /** The distance of each pair. */
  readonly distances: Float32Array
}

const layers = ['relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3'] as const
const channels = [64, 128, 256, 512, 512]
/** Of torchvision, for pixels from 0 to 1. */
const [mean, deviation] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
]

type Taps = Record<(typeof layers)[number], Tensor<'float32'>>

/**
 * LPIPS, the learned perceptual distance of Zhang et al. (2018), with the linear weights of the package `lpips` 0.1.4 for VGG-16
 * (version 0.1). It equals that package's where the network has torchvision's weights.
 */
export class Lpips {
  readonly #net: Network
  readonly #range: readonly [factor: number, offset: number]

  /**
   * @param net VGG-16 (D) of the full width, with torchvision's mean and scale; a head is not needed
   * @throws INVALID_ARGUMENT for another network
   */
  constructor(net: Network, options: LpipsOptions) {
    const { range } = readOptions(options, 'Lpips options', { range: oneOf('-1..1', '0..1', '0..255') })
    checkTrunk(net)
    this.#net = net
    this.#range = ranges[range]
  }

  /**
   * Computes the distance of pairs of images, and the gradient of its mean with respect to `a`.
   * @param a float32 [n, 3, h, w], red, green, blue, of the range
   * @param b the same of the same shape
   * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, NOT_FINITE, DISPOSED
   */
  async distance(a: Tensor, b: Tensor): Promise<LpipsDistance> {
    const [pixels, others] = this.#pixels(a, b)
    const [n = 0, , h = 0, w = 0] = pixels.shape
    const targets = await this.#net.features(others, layers)
    const distances = new Float32Array(n)
    const cotangents = layers.map((layer, index) => {
      const of = async (values: Taps): Promise<Tensor<'float32'>> => {
        const { data, shape } = mapsOf(values[layer], layer)
        const positions = (shape[2] ?? 0) * (shape[3] ?? 0)
        const gradient = new Float32Array(data.length)
        const map = new Float32Array(n * positions)
        const factor = 1 / (n * positions)
        await this.#errorOf(index, values[layer], targets[layer], { factor, gradient, map })
        for (let image = 0; image < n; image++) {
          let sum = 0
          for (let position = 0; position < positions; position++) sum += map[image * positions + position] ?? 0
          distances[image] = (distances[image] ?? 0) + sum / positions
        }
        return Tensor.from(gradient, values[layer].shape)
      }
      return [layer, of] as const
    })
    const given = Object.fromEntries(cotangents) as Record<
      (typeof layers)[number],
      (values: Taps) => Promise<Tensor<'float32'>>
    >
    const { image } = await this.#net.vjp(pixels, given, { wrt: ['image'] })
    const [factor] = this.#range
    const gradient = Tensor.from(
      (await image.data()).map((value) => value * factor),
      [n, 3, h, w],
    )
    return { loss: distances.reduce((sum, one) => sum + one, 0) / n, distances, gradient }
  }

  /**
   * Computes the distance at each pixel: that of each layer, enlarged bilinearly and added.
   * @param a as in `distance`
   * @param b as in `distance`
   * @returns float32 [n, 1, h, w]
   */
  async spatial(a: Tensor, b: Tensor): Promise<Tensor<'float32'>> {
    const [pixels, others] = this.#pixels(a, b)
    const [n = 0, , h = 0, w = 0] = pixels.shape
    const values = await this.#net.features(pixels, layers)
    const targets = await this.#net.features(others, layers)
    const sum = new Float32Array(n * h * w)
    for (const [index, layer] of layers.entries()) {
      const [, , height = 0, width = 0] = values[layer].shape
      const map = new Float32Array(n * height * width)
      await this.#errorOf(index, values[layer], targets[layer], { factor: 1, map })
      for (let image = 0; image < n; image++) {
        const own = map.subarray(image * height * width, (image + 1) * height * width)
        const values = enlarged(own, { height, width }, { height: h, width: w })
        for (const [pixel, value] of values.entries())
          sum[image * h * w + pixel] = (sum[image * h * w + pixel] ?? 0) + value
      }
    }
    return Tensor.from(sum, [n, 1, h, w])
  }

  #pixels(a: Tensor, b: Tensor): [Tensor<'float32'>, Tensor<'float32'>] {
    const [first, second] = [mapsOf(a, 'a'), mapsOf(b, 'b')]
    if (shapeText(first.shape) !== shapeText(second.shape)) {
      const message = `Expected the shape of a, ${shapeText(first.shape)}, for b but received shape ${shapeText(second.shape)}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    const [factor, offset] = this.#range
    const scaled = ({ data, shape }: typeof first) =>
      Tensor.from(
        data.map((value) => factor * value + offset),
        shape,
      )
    return [scaled(first), scaled(second)]
  }

  #errorOf(
    index: number,
    x: Tensor,
    target: Tensor,
    rest: { factor: number; map: Float32Array; gradient?: Float32Array },
  ): Promise<number> {
    const { data, shape } = mapsOf(x, 'x')
    const weights = lpipsWeights(channels, index)
    return native().lpipsError({ x: data, target: mapsOf(target, 'target').data, shape, weights, ...rest })
  }
}

function checkTrunk(net: Network): void {
  const { input } = endsOf(net.layers)
  const widths = layers.map((layer) => net.layers.find((one) => 'relu' in one && one.relu === layer))
  const wrong = widths.findIndex((layer, index) => !layer || !('outputs' in layer) || layer.outputs !== channels[index])
  if (wrong !== -1) {
    const message = `Expected VGG-16 (D) of the full width for Lpips but the network has no '${layers[wrong]}' of ${channels[wrong]} channels`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const near = (one: number | undefined, wanted: number) => Math.abs((one ?? 0) - wanted) <= 1e-4 * wanted
  const fits = mean.every(
    (of, index) => near(input.mean[index], 255 * of) && near(input.scale[index], 1 / (255 * (deviation[index] ?? 1))),
  )
  if (fits) return
  const message = `Expected torchvision's mean and scale for Lpips but the network has mean [${input.mean}] and scale [${input.scale}]: load torchvision's VGG-16, or create the network with them`
  throw new VggError('INVALID_ARGUMENT', message)
}
