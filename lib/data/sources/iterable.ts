import { VggError } from '../../error.js'
import { labelFrom } from '../../network/labels.js'
import {
  arrayOf,
  type Checked,
  integer,
  isObject,
  optional,
  readOptions,
  text,
  unexpected,
  unknownName,
  withDefault,
} from '../../options.js'
import type { Dataset } from '../dataset.js'
import { arrayDataset, bytesCheck } from './arrays.js'
import { photoDataset } from './photo-dataset.js'
import { type PhotoOptions, readPhotoOptions } from './photo-options.js'

/** One labelled image of an iterable. */
export interface Labelled {
  /** The bytes of an image file, or pixels: uint8 [height, width, channels]. */
  readonly image: Uint8Array
  /** The number or the name of the class. All images must use numbers, or all names. */
  readonly label: number | string
  /** The name of the image in messages. Default: its index. */
  readonly name?: string
}

/** Options for collecting the images of an iterable. */
export interface CollectionOptions {
  /** The name of each class. Default: the labels' names in the order of their code units, or '0' to the largest number. */
  classNames?: readonly string[] | undefined
  /** Largest total size of the images in bytes, so that an endless iterable gives an error. Default 4 GiB. */
  memoryLimit?: number | undefined
}

/** Options of {@link datasetFrom} for image files. */
export interface EncodedOptions extends PhotoOptions, CollectionOptions {}

/** Options of {@link datasetFrom} for pixels. */
export interface PixelOptions extends CollectionOptions {
  /** Shape of every image: [height, width, channels]; channels is 1 or 3. */
  shape: readonly [height: number, width: number, channels: number]
}

const collectionChecks = {
  classNames: optional(arrayOf(text)),
  memoryLimit: withDefault(integer(1), 2 ** 32),
}

interface Collected {
  readonly images: Uint8Array[]
  readonly names: string[]
  readonly labels: Int32Array
  readonly classNames: readonly string[]
}

/** The source of labelled images for {@link datasetFrom}: an array, a generator or a stream of objects. */
export type LabelledSource = AsyncIterable<Labelled> | Iterable<Labelled>

function isIterable(value: unknown): value is LabelledSource {
  if (typeof value !== 'object' || value === null) return false
  return Symbol.asyncIterator in value || Symbol.iterator in value
}

const mostClasses = 65536

function labelled(item: unknown, index: number): Labelled {
  if (!isObject(item)) throw unexpected('{ image, label }', `image ${index}`, item)
  const { image, label, name } = item
  if (typeof label === 'number') integer(0, mostClasses - 1)(label, `label of image ${index}`)
  else text(label, `label of image ${index}`)
  return {
    image: bytesCheck(image, `image of image ${index}`),
    label: label as number | string,
    name: optional(text)(name, `name of image ${index}`) ?? `${index}`,
  }
}

async function collect(source: LabelledSource, options: Checked<typeof collectionChecks>): Promise<Collected> {
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
    // A copy, because a source may reuse its memory.
    images.push(image.slice())
    names.push(name)
    given.push(label)
  }
  if (images.length === 0) {
    throw new VggError('INVALID_ARGUMENT', 'Expected at least one image for source but it ended before the first')
  }
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
  const numbers = new Map(classNames.map((name, number) => [name, number]))
  return Int32Array.from(labels, (label, index) => {
    const name = `label of image ${index}`
    if (typeof label === 'number') return labelFrom(label, classNames.length, name)
    const number = numbers.get(label)
    if (number === undefined) throw unknownName(label, name, classNames)
    return number
  })
}

/**
 * Makes a dataset of the images of an iterable, which is read once to its end. The images are kept in memory: image files
 * encoded, to be decoded at every read as by {@link photoDataset}, or with the option `shape` pixels. Errors of the iterable
 * are passed on.
 *
 * @throws VggError INVALID_ARGUMENT; OUT_OF_MEMORY beyond `memoryLimit`; SHAPE_MISMATCH if pixels are not of `shape`
 */
export async function datasetFrom(source: LabelledSource, options: EncodedOptions | PixelOptions): Promise<Dataset> {
  if (!isObject(options)) throw unexpected('{ crop }, { net } or { shape }', 'datasetFrom options', options)
  const { classNames, memoryLimit, ...rest } = options
  // The options are checked first, because an iterable can often be read only once.
  const collection = readOptions({ classNames, memoryLimit }, 'datasetFrom options', collectionChecks)
  if ('shape' in rest) {
    const { shape } = readOptions(rest, 'datasetFrom options with shape', { shape: arrayOf(integer(1)) })
    return fromPixels(await collect(source, collection), shape)
  }
  const photoOptions = rest as unknown as PhotoOptions
  readPhotoOptions(photoOptions)
  const { images, names, labels, classNames: classes } = await collect(source, collection)
  return photoDataset({ sources: images, names, labels, classNames: classes }, photoOptions)
}

function fromPixels({ images, names, labels, classNames }: Collected, sides: readonly number[]): Dataset {
  const bytes = sides.reduce((product, side) => product * side, 1)
  const pixels = new Uint8Array(images.length * bytes)
  for (const [index, image] of images.entries()) {
    if (image.length !== bytes) {
      const message = `Expected ${bytes} bytes (${sides.join('x')}) for image ${names[index]} but received ${image.length}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    pixels.set(image, index * bytes)
  }
  const data = arrayDataset({ images: pixels, shape: [images.length, ...sides], labels, classNames })
  return { ...data, nameOf: (index) => names[index] ?? String(index) }
}
