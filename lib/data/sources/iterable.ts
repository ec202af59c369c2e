import { VggError } from '../../error.js'
import {
  arrayOf,
  type Checked,
  integer,
  isObject,
  optional,
  readOptions,
  text,
  unexpected,
  withDefault,
} from '../../options.js'
import type { Dataset } from '../dataset.js'
import { arrayDataset } from './arrays.js'
import { type PhotoOptions, photoDataset, readPhotoOptions } from './photo-dataset.js'

/** One labelled image of an iterable. */
export interface Labelled {
  /** An image file's bytes, or pixels: uint8, height x width x channels. */
  readonly image: Uint8Array
  /** The number of its class, or its name: for all images the one or the other. */
  readonly label: number | string
  /** What it is called in messages. Default: its number. */
  readonly name?: string
}

/** How the images of an iterable are gathered. */
export interface GatheringOptions {
  /** The classes, in order. Default: the names in the order of their code units, or as many as the largest number says. */
  classNames?: readonly string[]
  /** Bytes of the images together at most: an iterable without an end is an error, not a full memory. Default 4 GiB. */
  memoryLimit?: number
}

/** Of image files: decoded whenever they are read. */
export interface EncodedOptions extends PhotoOptions, GatheringOptions {}

/** Of pixels, all images alike. */
export interface PixelOptions extends GatheringOptions {
  /** [height, width, 1 or 3] */
  shape: readonly [height: number, width: number, channels: number]
}

const gatheringChecks = {
  classNames: optional(arrayOf(text)),
  memoryLimit: withDefault(integer(1), 2 ** 32),
}

interface Gathered {
  readonly images: Uint8Array[]
  readonly names: string[]
  readonly labels: Int32Array
  readonly classNames: readonly string[]
}

/** Where {@link datasetFrom} takes labelled images from: an array, a generator, a stream of objects. */
export type LabelledSource = AsyncIterable<Labelled> | Iterable<Labelled>

function isIterable(value: unknown): value is LabelledSource {
  if (typeof value !== 'object' || value === null) return false
  return Symbol.asyncIterator in value || Symbol.iterator in value
}

const mostClasses = 65536

function labelled(item: unknown, position: number): Labelled {
  if (!isObject(item)) throw unexpected('{ image, label }', `image ${position}`, item)
  const { image, label, name } = item
  if (!(image instanceof Uint8Array)) throw unexpected('a Uint8Array', `image of image ${position}`, image)
  if (typeof label === 'number') integer(0, mostClasses - 1)(label, `label of image ${position}`)
  else text(label, `label of image ${position}`)
  return {
    image,
    label: label as number | string,
    name: optional(text)(name, `name of image ${position}`) ?? `${position}`,
  }
}

async function gather(source: LabelledSource, options: Checked<typeof gatheringChecks>): Promise<Gathered> {
  if (!isIterable(source)) throw unexpected('an iterable of { image, label }', 'source', source)
  const { classNames, memoryLimit } = options
  const images: Uint8Array[] = []
  const names: string[] = []
  const given: (number | string)[] = []
  let bytes = 0
  for await (const item of source) {
    const { image, label, name = '' } = labelled(item, images.length)
    if (given.length > 0 && typeof label !== typeof given[0]) {
      throw unexpected(`a ${typeof given[0]}, as before,`, `label of image ${images.length}`, label)
    }
    bytes += image.length
    if (bytes > memoryLimit) {
      const message = `Expected at most ${memoryLimit} bytes (memoryLimit) of images but ${images.length + 1} have ${bytes}: keep them as files`
      throw new VggError('OUT_OF_MEMORY', message)
    }
    // A copy: a source may hand out the same memory again and again.
    images.push(image.slice())
    names.push(name)
    given.push(label)
  }
  if (images.length === 0) throw unexpected('at least one image', 'source', 'none')
  const classes = classNames ?? classesOf(given)
  return { images, names, labels: labelsOf(given, classes), classNames: classes }
}

function classesOf(labels: readonly (number | string)[]): string[] {
  const numbers = labels.filter((label) => typeof label === 'number')
  if (numbers.length === 0) return [...new Set(labels.map(String))].sort()
  const largest = numbers.reduce((most, label) => Math.max(most, label), 0)
  return Array.from({ length: largest + 1 }, (_, label) => String(label))
}

function labelsOf(labels: readonly (number | string)[], classNames: readonly string[]): Int32Array {
  const positions = new Map(classNames.map((name, index) => [name, index]))
  return Int32Array.from(labels, (label, position) => {
    const index = typeof label === 'number' ? label : positions.get(label)
    if (index !== undefined && index < classNames.length) return index
    throw unexpected(`one of the ${classNames.length} classes`, `label of image ${position}`, label)
  })
}

/**
 * A dataset of what any iterable gives, once: it is gone through to its end, and the images are kept in memory, as
 * they come: image files stay packed, and are decoded whenever they are read, as {@link photoDataset} does it. With
 * `shape` the images are pixels already. What the iterable itself throws is passed on.
 *
 * @throws VggError INVALID_ARGUMENT, OUT_OF_MEMORY beyond `memoryLimit`, SHAPE_MISMATCH where pixels are not of `shape`
 */
export async function datasetFrom(source: LabelledSource, options: EncodedOptions | PixelOptions): Promise<Dataset> {
  const { classNames, memoryLimit, ...rest } = isObject(options) ? options : {}
  // First the options: an iterable may be gone through only once.
  const gathering = readOptions({ classNames, memoryLimit }, 'datasetFrom options', gatheringChecks)
  if ('shape' in rest) {
    const { shape } = readOptions(rest, 'datasetFrom options with shape', { shape: arrayOf(integer(1)) })
    return fromPixels(await gather(source, gathering), shape)
  }
  const photoOptions = rest as unknown as PhotoOptions
  readPhotoOptions(photoOptions)
  const { images, names, labels, classNames: classes } = await gather(source, gathering)
  return photoDataset({ sources: images, names, labels, classNames: classes }, photoOptions)
}

function fromPixels({ images, names, labels, classNames }: Gathered, sides: readonly number[]): Dataset {
  const bytes = sides.reduce((product, side) => product * side, 1)
  const pixels = new Uint8Array(images.length * bytes)
  for (const [position, image] of images.entries()) {
    if (image.length !== bytes) {
      const message = `Expected ${bytes} bytes (${sides.join('x')}) for image ${names[position]} but received ${image.length}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    pixels.set(image, position * bytes)
  }
  const data = arrayDataset({ images: pixels, shape: [images.length, ...sides], labels, classNames })
  return { ...data, nameOf: (index) => names[index] ?? String(index) }
}
