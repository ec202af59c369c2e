// Datasets derived from another one: parts, padded images, another order of the classes.
import { VggError } from '../error.js'
import { arrayOf, integer, readable, text, unexpected } from '../options.js'
import { Random } from '../random.js'
import { type Dataset, imageBytes, imageText } from './dataset.js'

/** The differences of a derived dataset from its base. Absent ones stay as in the base. */
interface Derivation {
  /** The fields that differ. */
  readonly fields: Partial<Pick<Dataset, 'count' | 'height' | 'width' | 'labels' | 'classNames'>>
  /** Returns the base's index of the image at an index of the derived dataset. */
  readonly indexOf?: (index: number) => number
  /** Calls `read` with memory for images of the base's size, and converts them into `into`. */
  readonly convert?: <T>(into: Uint8Array, read: (pixels: Uint8Array) => Promise<T>) => Promise<T>
}

/** A dataset derived from a base. The only code that lists a dataset's fields and methods, so that none is lost. */
function derivedDataset(base: Dataset, { fields, indexOf, convert }: Derivation): Dataset {
  const { count, height, width, channels, labels, classNames } = base
  const indicesOf = (indices: Int32Array) => (indexOf ? indices.map(indexOf) : indices)
  const reading = convert ?? ((into, read) => read(into))
  const readAugmented = base.readAugmented?.bind(base)
  const nameOf = base.nameOf?.bind(base)
  const { randomReads } = base
  return {
    ...{ count, height, width, channels, labels, classNames, ...fields },
    read: (indices, into) => reading(into, (pixels) => base.read(indicesOf(indices), pixels)),
    ...(readAugmented && {
      readAugmented: (indices, randoms, into) =>
        reading(into, (pixels) => readAugmented(indicesOf(indices), randoms, pixels)),
    }),
    ...(randomReads && { randomReads }),
    ...(nameOf && { nameOf: (index) => nameOf(indexOf ? indexOf(index) : index) }),
  }
}

/** The images of `data` with these indices, in this order. The labels are copied, the pixels are not. */
export function subset(data: Dataset, indices: Int32Array): Dataset {
  const known = integer(0, data.count - 1)
  const chosen = readable('indices', () => Int32Array.from(indices, (index) => known(index, 'indices')))
  const labels = chosen.map((index) => data.labels[index] ?? -1)
  const fields = { count: chosen.length, labels }
  return derivedDataset(data, { fields, indexOf: (index) => chosen[index] ?? -1 })
}

/** Returns the indices of all images, or of a random sample of `limit` of them, in rising order. */
export function sampleOf(count: number, limit: number, seed: number): Int32Array {
  if (count <= limit) return Int32Array.from({ length: count }, (_, index) => index)
  return new Random(seed).permutation(count).slice(0, limit).sort()
}

/** Two parts of a dataset that share no image. */
export interface Split {
  /** The images for training. */
  readonly training: Dataset
  /** The images that are held out. */
  readonly validation: Dataset
}

/**
 * Holds out random images for validation. Every class keeps its share in both parts (stratified).
 *
 * @param heldOut the number of images to hold out: 1 to `data.count - 1`
 * @param seed equal seeds give equal parts
 * @throws VggError INVALID_ARGUMENT
 */
export function stratifiedSplit(data: Dataset, heldOut: number, seed: number): Split {
  const { training, validation } = stratifiedIndices(data.labels, data.classNames.length, heldOut, seed)
  return { training: subset(data, training), validation: subset(data, validation) }
}

/** Returns the indices of the two parts into which {@link stratifiedSplit} divides images with these labels. */
export function stratifiedIndices(
  labels: Int32Array,
  classes: number,
  heldOut: number,
  seed: number,
): { training: Int32Array; validation: Int32Array } {
  if (labels.length < 2) throw unexpected('at least 2 images', 'a split', labels.length)
  if (typeof heldOut === 'number' && heldOut > 0 && heldOut < 1) {
    const images = Math.max(1, Math.round(heldOut * labels.length))
    throw unexpected('a number of images', 'heldOut', heldOut, `this share of them is ${images}`)
  }
  integer(1, labels.length - 1)(heldOut, 'heldOut')
  const random = new Random(seed)
  const training: number[] = []
  const validation: number[] = []
  let seen = 0
  for (const members of membersOf(labels, classes)) {
    // Rounding the running sum, not each class: the parts add up to exactly `heldOut`.
    const before = Math.round((seen * heldOut) / labels.length)
    seen += members.length
    const share = Math.round((seen * heldOut) / labels.length) - before
    random.shuffle(members)
    members.forEach((index, position) => {
      ;(position < share ? validation : training).push(index)
    })
  }
  return { training: Int32Array.from(training), validation: Int32Array.from(validation) }
}

/** The indices of each class. */
function membersOf(labels: Int32Array, classes: number): number[][] {
  const members: number[][] = Array.from({ length: classes }, () => [])
  labels.forEach((label, index) => {
    members[label]?.push(index)
  })
  return members
}

/**
 * The same images with the class numbers of a model: classes are matched by name.
 *
 * @param classNames the class names of the model; if empty, the class numbers stay as they are
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the data has a class that the model lacks
 */
export function withClasses(data: Dataset, classNames: readonly string[]): Dataset {
  if (arrayOf(text)(classNames, 'classNames').length === 0) return data
  const numbers = data.classNames.map((name) => classNames.indexOf(name))
  const unknown = data.classNames.filter((_, index) => numbers[index] === -1)
  if (unknown.length > 0) {
    const known = classNames.length > 20 ? `${classNames.slice(0, 20).join(', ')}, ...` : classNames.join(', ')
    const message = `Expected classes that the model knows (${known}) but the data have ${unknown.slice(0, 5).join(', ')}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const labels = data.labels.map((label) => numbers[label] ?? -1)
  return derivedDataset(data, { fields: { labels, classNames } })
}

/**
 * The same images in the middle of larger ones, such as MNIST's 28x28 digits in the 32x32 that five poolings need.
 * Labels, names and augmentation are those of `data`.
 *
 * @param size the height and width wanted; if they are those of `data`, the result is `data` itself
 * @param background the value of the new pixels, 0 (black) to 255
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the images are larger than `size`
 */
export function paddedDataset(data: Dataset, size: { height: number; width: number }, background = 0): Dataset {
  const [height, width] = [integer(1)(size.height, 'height'), integer(1)(size.width, 'width')]
  integer(0, 255)(background, 'background')
  if (height < data.height || width < data.width) {
    const message = `Expected images of at most ${height}x${width} but the data's are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (height === data.height && width === data.width) return data
  async function convert<T>(into: Uint8Array, read: (pixels: Uint8Array) => Promise<T>): Promise<T> {
    const images = into.length / (height * width * data.channels)
    const small = new Uint8Array(images * imageBytes(data))
    const result = await read(small)
    into.fill(background)
    copyCentred(small, data, into, { height, width })
    return result
  }
  return derivedDataset(data, { fields: { height, width }, convert })
}

/** Copies each row of the small images in `from` into the middle of the larger images in `into`. */
function copyCentred(
  from: Uint8Array,
  small: Dataset,
  into: Uint8Array,
  large: { height: number; width: number },
): void {
  const top = (large.height - small.height) >> 1
  const left = (large.width - small.width) >> 1
  const rowBytes = small.width * small.channels
  const rows = from.length / rowBytes
  for (let row = 0; row < rows; row++) {
    const image = Math.floor(row / small.height)
    const line = image * large.height + top + (row % small.height)
    into.set(from.subarray(row * rowBytes, (row + 1) * rowBytes), (line * large.width + left) * small.channels)
  }
}
