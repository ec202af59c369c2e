import type { PixelSize } from '../data/images/crop.js'
import { throwIfAborted } from '../error.js'
import { checkScores } from '../evaluate/metrics.js'
import { endsOf } from '../layer.js'
import type { Network } from '../network/network.js'
import { arrayOf, type Check, finite, float32, integer, optional, readOptions, unexpected } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import type { ExplainedClass, ExplainOptions, ImagesToExplain, Occlusion } from './explanation.js'
import { explainChecks, headed, readGiven } from './images.js'
import { mapsOf } from './maps.js'
import { explainedClass, meanScores } from './score.js'

/** Options of `occlusion`. */
export interface OcclusionOptions extends ExplainOptions {
  /** Side of the square patch in pixels, up to the smaller side of the images. Default: a quarter of that side. */
  patch?: number | undefined
  /** Pixels from one position of the patch to the next, 1 to `patch`. Default: half of `patch`. */
  stride?: number | undefined
  /** Value of the patch, 0 to 255: one number, or one for each channel. Default: the mean of the network. */
  fill?: number | readonly number[] | undefined
}

const fillCheck: Check<number | number[]> = (value, name) =>
  Array.isArray(value) ? arrayOf(float32(finite))(value, name) : float32(finite)(value, name)

/** First rows or columns of the patch: every `stride` pixels, and at the end, so that every pixel is covered. */
function startsOf(length: number, patch: number, stride: number): number[] {
  const starts = Array.from({ length: Math.ceil((length - patch) / stride) }, (_, index) => index * stride)
  return [...starts, length - patch]
}

/** A square in an image. */
interface Patch {
  readonly top: number
  readonly left: number
  readonly side: number
}

/** The indices of the pixels of a patch in an image of this width. */
function* pixelsIn({ top, left, side }: Patch, width: number): Generator<number> {
  for (let row = top; row < top + side; row++)
    for (let column = left; column < left + side; column++) yield row * width + column
}

/** Copies of one image [1, ...], each with another patch filled. @param fill value for each channel */
function occluded(image: Tensor, patches: readonly Patch[], width: number, fill: readonly number[]): Tensor {
  const source = valuesOf(image)
  const [channels, area] = [fill.length, source.length / fill.length]
  const copies = Tensor.zeros([patches.length, ...image.shape.slice(1)], { dtype: image.dtype })
  const values = valuesOf(copies)
  for (const [copy, patch] of patches.entries()) {
    const own = values.subarray(copy * source.length, (copy + 1) * source.length)
    own.set(source)
    for (const pixel of pixelsIn(patch, width))
      for (const [channel, value] of fill.entries()) {
        if (image.dtype === 'uint8') own[pixel * channels + channel] = Math.round(Math.min(Math.max(value, 0), 255))
        else own[channel * area + pixel] = value
      }
  }
  return copies
}

/** The mean of the drops of the patches that cover each pixel. */
function meanDrops(drops: Float32Array, patches: readonly Patch[], { height, width }: PixelSize): Float32Array {
  const [sums, counts] = [new Float64Array(height * width), new Uint32Array(height * width)]
  for (const [position, patch] of patches.entries())
    for (const pixel of pixelsIn(patch, width)) {
      sums[pixel] = (sums[pixel] ?? 0) + (drops[position] ?? 0)
      counts[pixel] = (counts[pixel] ?? 0) + 1
    }
  return Float32Array.from(sums, (sum, pixel) => sum / (counts[pixel] ?? 1))
}

function fillOf(net: Network, given: number | readonly number[] | undefined): readonly number[] {
  const fill = given ?? endsOf(net.layers).input.mean
  const values = typeof fill === 'number' ? new Array<number>(net.channels).fill(fill) : fill
  if (values.length === net.channels) return values
  throw unexpected(`one number, or ${net.channels}, one for each channel,`, 'fill', given)
}

/**
 * Occlusion (Zeiler & Fergus 2014): how much the score of a class falls where a square patch covers the image. A drop below 0 is
 * a rise. It takes one forward pass for each position of the patch.
 * @param images as for {@link gradCam}
 * @throws the errors of {@link gradCam}; INVALID_ARGUMENT for a patch larger than the images
 */
export async function occlusion(
  net: Network,
  images: ImagesToExplain,
  options: OcclusionOptions = {},
): Promise<Occlusion> {
  headed(net, 'occlusion')
  const own = { patch: optional(integer(1)), stride: optional(integer(1)), fill: optional(fillCheck) }
  const read = readOptions(options, 'occlusion options', { ...explainChecks, ...own })
  const fill = fillOf(net, read.fill)
  const given = await readGiven(net, images, read)
  const { images: all, chosen, names, size } = given
  const classes: ExplainedClass[] = []
  for (let first = 0; first < size.images; first += read.batch) {
    throwIfAborted(read.signal, 'The explanation')
    const scores = meanScores(await net.forward(all.slice(first, Math.min(first + read.batch, size.images))))
    for (const one of scores)
      classes.push(explainedClass(net, one, chosen[classes.length], names[classes.length] ?? ''))
  }
  const smaller = Math.min(size.height, size.width)
  const side = integer(1, smaller)(read.patch ?? Math.max(1, Math.floor(smaller / 4)), 'patch')
  const stride = integer(1, side)(read.stride ?? Math.max(1, Math.floor(side / 2)), 'stride')
  const [tops, lefts] = [startsOf(size.height, side, stride), startsOf(size.width, side, stride)]
  const patches = tops.flatMap((top) => lefts.map((left) => ({ top, left, side })))
  const drops = Tensor.zeros([size.images, tops.length, lefts.length])
  const values = valuesOf(drops)
  for (const [image, { index, score }] of classes.entries()) {
    const source = all.slice(image, image + 1)
    for (let first = 0; first < patches.length; first += read.batch) {
      throwIfAborted(read.signal, 'The explanation')
      const some = patches.slice(first, first + read.batch)
      for (const [position, one] of meanScores(await net.forward(occluded(source, some, size.width, fill))).entries()) {
        checkScores(one, names[image] ?? '')
        values[image * patches.length + first + position] = score - (one[index] ?? 0)
      }
    }
  }
  const maps = mapsOf([size.images, size.height, size.width], drops, (own) => meanDrops(own, patches, size))
  return { method: 'occlusion', images: all, classes, maps, drops }
}
