import { VggError } from '../../error.js'
import { arrayOf, type Check, instanceOf, optional, readOptions, text, unexpected } from '../../options.js'
import { type Dataset, imageBytes, type ReadFailure } from '../dataset.js'

/** Labelled images in memory. */
export interface ArrayData {
  /** The pixels: uint8 [n, height, width, channels]. The array is not copied: do not change it afterwards. */
  images: Uint8Array
  /** Shape of `images`: [n, height, width, channels]; channels is 1 or 3. */
  shape: readonly number[]
  /** The class of each image: integers from 0. */
  labels: ArrayLike<number>
  /** The name of each class. Default: '0', '1', ... up to the largest label. */
  classNames?: readonly string[] | undefined
}

function checkShape(shape: readonly number[], bytes: number): void {
  const whole = shape.length === 4 && shape.every((side) => Number.isInteger(side) && side > 0)
  const [, , , channels] = shape
  if (!whole || (channels !== 1 && channels !== 3)) {
    const message = `Expected [n, height, width, 1 or 3] for shape but received [${shape.join(', ')}]`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const expected = shape.reduce((product, side) => product * side, 1)
  if (bytes !== expected) {
    const message = `Expected ${expected} bytes for images of [${shape.join(', ')}] but received ${bytes}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
}

function checkedLabels(labels: ArrayLike<number>, count: number, classes: number): Int32Array {
  if (labels.length !== count) {
    throw new VggError('SHAPE_MISMATCH', `Expected ${count} labels, one per image, but received ${labels.length}`)
  }
  for (let index = 0; index < count; index++) {
    const label = labels[index]
    if (label === undefined || !Number.isInteger(label) || label < 0 || label >= classes) {
      throw unexpected(`a class from 0 to ${classes - 1}`, `labels[${index}]`, label)
    }
  }
  return Int32Array.from(labels)
}

/** Class names '0', '1', ... up to the largest label. */
function numbered(labels: ArrayLike<number>): string[] {
  let largest = 0
  for (let index = 0; index < labels.length; index++) largest = Math.max(largest, labels[index] ?? 0)
  const classes = Number.isInteger(largest) && largest < 2 ** 24 ? largest + 1 : 1
  return Array.from({ length: classes }, (_, index) => String(index))
}

const isArrayLike = (value: unknown): value is ArrayLike<number> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)

const labelArray: Check<ArrayLike<number>> = (value, name) => {
  if (isArrayLike(value)) return value
  throw unexpected('an array of integers', name, value)
}

const checks = {
  images: instanceOf(Uint8Array),
  shape: arrayOf<number>((side) => side as number),
  labels: labelArray,
  classNames: optional(arrayOf(text)),
}

/**
 * Makes a dataset of images in memory.
 *
 * @throws VggError SHAPE_MISMATCH if the lengths do not match the shape, INVALID_ARGUMENT for a label that is no class
 */
export function arrayDataset(source: ArrayData): Dataset {
  const { images, shape, classNames: given, labels: numbers } = readOptions(source, 'arrayDataset options', checks)
  checkShape(shape, images.length)
  const [count = 0, height = 0, width = 0, channels = 0] = shape
  const classNames = [...(given ?? numbered(numbers))]
  const labels = checkedLabels(numbers, count, classNames.length)
  const bytes = imageBytes({ height, width, channels })
  async function read(indices: Int32Array, into: Uint8Array): Promise<readonly ReadFailure[]> {
    indices.forEach((index, position) => {
      into.set(images.subarray(index * bytes, (index + 1) * bytes), position * bytes)
    })
    return []
  }
  return { count, height, width, channels, labels, classNames, read }
}
