import type { Layer } from '../../layer.js'
import type { Network } from '../../network/network.js'
import { philox } from '../../random.js'
import { Tensor } from '../../tensor.js'
import { type Moments, momentsOf, zeroRows } from './moments.js'

/** Mean of red, green and blue and standard deviation of ImageNet's images; those of the fixed image are close to them. */
export const naturalPixels = { meanRgb: [123.68, 116.779, 103.939], deviation: 58 } as const

/** Scales of the fixed image: squares of 1, 2, 4, ... 64 pixels. */
const scales = 7
/** Part of each channel of its own, beside that which the channels share. */
const ownPart = 0.35

/**
 * An image that is the same everywhere: random squares of several sizes with the contrast and the mean colour of ImageNet's images.
 * @returns uint8 [1, h, w, c]
 */
export function fixedImage([height, width]: readonly [number, number], channels: number): Tensor<'uint8'> {
  const pixels = new Float64Array(height * width * channels)
  for (let scale = 0; scale < scales; scale++) addSquares(pixels, { height, width, channels, scale })
  const unit = naturalPixels.deviation / Math.sqrt((scales / 3) * (1 + ownPart ** 2))
  const { meanRgb } = naturalPixels
  const bytes = Uint8ClampedArray.from(
    pixels,
    (value, index) => meanOf(meanRgb, index % channels, channels) + unit * value,
  )
  return Tensor.from(new Uint8Array(bytes.buffer), [1, height, width, channels])
}

const meanOf = (meanRgb: readonly number[], channel: number, channels: number): number =>
  (channels === 3 ? meanRgb[channel] : meanRgb[1]) ?? 0

/** A number from -1 to 1 for a square of a scale; `part` is 0 for what channels share, else the channel from 1 on. */
const drawn = (row: number, column: number, scale: number, part: number): number =>
  philox([row, column, scale, part], 0, 0)[0] / 2 ** 31 - 1

interface Size {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly scale: number
}

function addSquares(pixels: Float64Array, { height, width, channels, scale }: Size): void {
  const side = 2 ** scale
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const [row, column] = [top / side, left / side]
      const shared = drawn(row, column, scale, 0)
      for (let channel = 0; channel < channels; channel++) {
        const value = shared + ownPart * drawn(row, column, scale, channel + 1)
        for (let y = top; y < Math.min(top + side, height); y++)
          for (let x = left; x < Math.min(left + side, width); x++)
            pixels[(y * width + x) * channels + channel] = (pixels[(y * width + x) * channels + channel] ?? 0) + value
      }
    }
  }
}

/** Activity of a layer on the fixed image. */
export interface Activity extends Moments {
  /** Name of the tensor: 'relu1_1', ..., 'fc8'. */
  readonly name: string
  /** Fraction of the channels that are 0 everywhere. */
  readonly dead: number
}

/** Names of the output of each layer with parameters: of its ReLU, if it has one. */
const outputNames = (layers: readonly Layer[]): string[] =>
  layers.flatMap((layer) => (layer.kind === 'convolution' || layer.kind === 'linear' ? [layer.relu ?? layer.name] : []))

/** What each layer with parameters puts out for an image, in the order of the layers. */
export async function outputsFor(
  network: Network,
  image: Tensor,
): Promise<[name: string, output: Tensor<'float32'>][]> {
  const names = outputNames(network.layers)
  const tensors = await network.features(image, names)
  return names.map((name) => [name, tensors[name] as Tensor<'float32'>])
}

/** The activity of each layer of a network on an image. */
export async function fingerprintOf(network: Network, image: Tensor): Promise<Activity[]> {
  const found: Activity[] = []
  for (const [name, output] of await outputsFor(network, image)) {
    const values = await output.data()
    found.push({ name, ...momentsOf(values), dead: zeroRows(values, output.shape[1] ?? 1) })
  }
  return found
}
