import { evaluationSide } from '../data/images/crop.js'
import { type DecodingOptions, decodingChecks } from '../data/images/formats.js'
import { type ImageSize, readNamed } from '../data/images/image.js'
import { VggError } from '../error.js'
import { checkHead } from '../network/arguments.js'
import { integer, readOptions, unexpected, withDefault } from '../options.js'
import { shapeText, Tensor } from '../tensor.js'
import { VGG } from '../vgg/vgg.js'
import { checkScores } from './metrics.js'

/** A class and its probability for an image. */
export interface ClassProbability {
  /** Name of the class; its index as text if the network has no names. */
  readonly class: string
  /** Index of the class, from 0. */
  readonly index: number
  /** Probability of the class, 0 to 1. */
  readonly probability: number
}

/** An image: the path of a file, the bytes of an encoded image, or a tensor of one image as `forward` takes it. */
export type ImageSource = string | Uint8Array | Tensor

/** Options of `classify`. */
export interface ClassifyOptions extends DecodingOptions {
  /** Number of most probable classes, 1 to those of the network. Default 1. */
  top?: number | undefined
}

/**
 * Classifies images. Files and encoded images are read as for the network's training: rescaled to its S (the middle of a
 * range), or else to cover its input size, and the centre crop is taken. Tensors have the network's size, and pixels from 0
 * to 255.
 * @param images an image; or an array of images, in which a tensor may hold several
 * @returns the `top` most probable classes, the most probable first; for an array an array of them, one for each image
 * @throws FILE_NOT_FOUND, FILE_FORMAT for an image that cannot be read; NOT_FINITE, SHAPE_MISMATCH, INVALID_ARGUMENT
 */
export async function classify(net: VGG, images: ImageSource, options?: ClassifyOptions): Promise<ClassProbability[]>
export async function classify(
  net: VGG,
  images: readonly ImageSource[],
  options?: ClassifyOptions,
): Promise<ClassProbability[][]>
export async function classify(
  net: VGG,
  images: ImageSource | readonly ImageSource[],
  options?: ClassifyOptions,
): Promise<ClassProbability[] | ClassProbability[][]> {
  const several = Array.isArray(images)
  const answers = (await classifyEach(net, several ? images : [images as ImageSource], options)).map((answer) => {
    if (answer instanceof VggError) throw answer
    return answer
  })
  const [first = []] = answers
  if (several || answers.length === 1) return several ? answers : first
  throw unexpected('one image, or an array ([images]) for several,', 'images', images)
}

/** The classes of an image, or its error: FILE_NOT_FOUND, FILE_FORMAT or NOT_FINITE. */
type Answer = ClassProbability[] | VggError

/** Encoded images computed at a time: enough to keep a processor busy, and few enough for little memory. */
const batch = 16

/** Images decoded at once: libuv's threads, unless UV_THREADPOOL_SIZE asks for more. It bounds the memory. */
const lanes = 4

/** Classifies images as {@link classify} does, and continues after an image that fails. */
export async function classifyEach(
  net: VGG,
  images: readonly ImageSource[],
  options: ClassifyOptions = {},
): Promise<Answer[]> {
  if (!(net instanceof VGG)) throw unexpected('a VGG', 'net', net)
  checkHead(net, 'classify')
  const checks = { top: withDefault(integer(1, net.classes), 1), ...decodingChecks }
  const { top, ...decoding } = readOptions(options, 'classify options', checks)
  const answers: Answer[][] = images.map(() => [])
  const encoded: Encoded[] = []
  for (const [index, source] of images.entries()) {
    const name = typeof source === 'string' ? source : `images[${index}]`
    if (source instanceof Tensor) answers[index] = await answersOf(net, checkedSize(net, source), top, () => name)
    else encoded.push({ index, source: encodedImage(source, name), name })
  }
  for (let start = 0; start < encoded.length; start += batch) {
    const some = encoded.slice(start, start + batch)
    const found = await answersOfEncoded(net, some, top, decoding)
    for (const [position, { index }] of some.entries()) answers[index] = found.slice(position, position + 1)
  }
  return answers.flat()
}

interface Encoded {
  readonly index: number
  readonly source: string | Uint8Array
  readonly name: string
}

/** Checks the path or the bytes of an encoded image. @param name of the image in messages */
export function encodedImage(source: unknown, name: string): string | Uint8Array {
  if (typeof source === 'string' || source instanceof Uint8Array) return source
  throw unexpected('the path of an image, the bytes of one, or a Tensor', name, source)
}

/** @throws SHAPE_MISMATCH for images of another size, whose scores would be a map; `forward` checks the other axes */
function checkedSize({ imageSize, channels }: VGG, images: Tensor): Tensor {
  const { shape, dtype } = images
  const [ofImages, ...size] = dtype === 'uint8' ? [shape[3], shape[1], shape[2]] : shape.slice(1)
  if (shape.length !== 4 || ofImages !== channels || size.join() === imageSize.join()) return images
  const message = `Expected images of ${imageSize.join('x')} for the network but received shape ${shapeText(shape)}: readImage rescales files, and forward computes class maps of larger images`
  throw new VggError('SHAPE_MISMATCH', message)
}

function sizeOf({ imageSize, channels }: VGG): ImageSize {
  const [height, width] = imageSize
  if (channels === 1 || channels === 3) return { height, width, channels }
  throw new VggError('SHAPE_MISMATCH', `Expected a model for 1 or 3 channels but it takes ${channels}`)
}

async function answersOfEncoded(
  net: VGG,
  encoded: readonly Encoded[],
  top: number,
  decoding: DecodingOptions,
): Promise<Answer[]> {
  const read = await readEach(net, encoded, decoding)
  const pixels = read.filter((one) => one instanceof Uint8Array)
  const names = encoded.filter((_, position) => read[position] instanceof Uint8Array).map(({ name }) => name)
  const answers = pixels.length === 0 ? [] : await answersOf(net, imagesOf(net, pixels), top, (row) => names[row] ?? '')
  return read.map((one) => (one instanceof VggError ? one : (answers.shift() ?? [])))
}

/** Reads encoded images as `classify` does: uint8 [height, width, channels] of the network, or the error of the image. */
export async function readEach(
  net: VGG,
  encoded: readonly Pick<Encoded, 'source' | 'name'>[],
  decoding: DecodingOptions,
): Promise<(Uint8Array | VggError)[]> {
  const size = sizeOf(net)
  const side = net.preprocessing?.smallestSide
  const options = { ...decoding, ...(side !== undefined && { smallestSide: evaluationSide(side) }) }
  const read: (Uint8Array | VggError)[] = []
  const left = encoded.entries()
  const lane = async (): Promise<void> => {
    for (const [position, { source, name }] of left)
      read[position] = await readNamed(source, name, size, options).catch(errorOfImage)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return read
}

/** Images that {@link readEach} has read, as one tensor. */
export function imagesOf(net: VGG, pixels: readonly Uint8Array[]): Tensor<'uint8'> {
  const { height, width, channels } = sizeOf(net)
  return Tensor.from(Buffer.concat(pixels), [pixels.length, height, width, channels])
}

/** An error that the image causes: FILE_NOT_FOUND, FILE_FORMAT or NOT_FINITE; others are thrown. */
export function errorOfImage(error: unknown): VggError {
  const isOfImage = error instanceof VggError && ['FILE_NOT_FOUND', 'FILE_FORMAT', 'NOT_FINITE'].includes(error.code)
  if (isOfImage) return error
  throw error
}

async function answersOf(net: VGG, images: Tensor, top: number, nameOf: (row: number) => string): Promise<Answer[]> {
  const scores = await net.forward(images)
  const values = await scores.data()
  const rows = await (await scores.softmax()).topk(top)
  return rows.map((row, index) => {
    try {
      checkScores(values.subarray(index * net.classes, (index + 1) * net.classes), nameOf(index))
      return row.map(({ index: label, value }) => ({
        class: net.classNames[label] ?? String(label),
        index: label,
        probability: value,
      }))
    } catch (error) {
      return errorOfImage(error)
    }
  })
}
