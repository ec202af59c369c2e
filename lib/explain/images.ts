import type { PixelSize } from '../data/images/crop.js'
import { type DecodingOptions, decodingChecks } from '../data/images/formats.js'
import { VggError } from '../error.js'
import { encodedImage, imagesOf, readEach } from '../evaluate/classify.js'
import { checkHead } from '../network/arguments.js'
import { Network } from '../network/network.js'
import { type Checked, instanceOf, integer, optional, unexpected, withDefault } from '../options.js'
import { Tensor } from '../tensor.js'
import { VGG } from '../vgg/vgg.js'
import { chosenClasses } from './score.js'

const untouched = (value: unknown): unknown => value

/** The checks of the options of all methods. The range of `class` is that of the network and of the images. */
export const explainChecks = {
  class: untouched,
  batch: withDefault(integer(1, 2 ** 31 - 1), 16),
  signal: optional(instanceOf(AbortSignal)),
  ...decodingChecks,
}

/** What a method is given, read and checked. */
export interface Given {
  readonly images: Tensor
  readonly size: PixelSize & { readonly images: number }
  /** The index of the class for each image; undefined for the predicted one. */
  readonly chosen: readonly (number | undefined)[]
  /** Names of the images in messages. */
  readonly names: readonly string[]
}

/** The network of a call. @throws INVALID_ARGUMENT for one without a head */
export function headed(net: unknown, call: string): Network {
  const found = instanceOf(Network)(net, 'net') as Network
  checkHead(found, call)
  return found
}

/** Reads the images of a method, and its classes. @param options as {@link explainChecks} returns them */
export async function readGiven(
  net: Network,
  given: unknown,
  { class: chosen, formats, pixelLimit, decodeSeconds, decodeBytes }: Checked<typeof explainChecks>,
): Promise<Given> {
  // one class is checked before files are read
  if (!Array.isArray(chosen)) chosenClasses(net, chosen, 0)
  const { images, names } = await imagesFrom(net, given, { formats, pixelLimit, decodeSeconds, decodeBytes })
  const [count = 0, ...axes] = images.shape
  const [height = 0, width = 0] = images.dtype === 'uint8' ? axes : axes.slice(1)
  return { images, names, size: { images: count, height, width }, chosen: chosenClasses(net, chosen, count) }
}

async function imagesFrom(
  net: Network,
  given: unknown,
  decoding: DecodingOptions,
): Promise<Pick<Given, 'images' | 'names'>> {
  if (given instanceof Tensor) {
    const count = given.shape[0] ?? 0
    return { images: given, names: Array.from({ length: count }, (_, index) => `images[${index}]`) }
  }
  const sources = Array.isArray(given) ? given : [given]
  if (sources.length === 0) throw unexpected('at least one image', 'images', given)
  if (!(net instanceof VGG)) throw unexpected('a VGG, whose image size is known, for image files,', 'net', net)
  const encoded = sources.map((source, index) => {
    const name = typeof source === 'string' ? source : `images[${index}]`
    return { source: encodedImage(source, name), name }
  })
  const pixels = (await readEach(net, encoded, decoding)).map((one) => {
    if (one instanceof VggError) throw one
    return one
  })
  return { images: imagesOf(net, pixels), names: encoded.map(({ name }) => name) }
}
