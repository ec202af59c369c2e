import { VggError } from '../../error.js'
import { labelFrom } from '../../network/labels.js'
import { arrayOf, type Check, optional, readable, readOptions, text, unexpected } from '../../options.js'
import { countedText } from '../../table.js'
import { detached, detachedText, elementCount, isDetached } from '../../tensor.js'
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

/** What to type for a shape that is refused; empty if it is not recognised. */
function shapeCure(shape: readonly number[]): string {
  const [first, second, third] = shape
  if (shape.length === 3 && (third === 1 || third === 3)) return `; one image has shape [1, ${shape.join(', ')}]`
  if (shape.length === 3) return `; grey images have shape [${shape.join(', ')}, 1]`
  if (shape.length === 4 && (second === 1 || second === 3))
    return `; move the channels last: [${[first, ...shape.slice(2), second].join(', ')}]`
  return ''
}

function checkShape(shape: readonly number[], images: Uint8Array): void {
  const text = `[${shape.join(', ')}]`
  if (shape.length === 4 && shape[0] === 0) {
    throw new VggError('INVALID_ARGUMENT', `Expected at least one image for images but received shape ${text}`)
  }
  const whole = shape.length === 4 && shape.every((side) => Number.isInteger(side) && side > 0)
  const channels = shape[3]
  if (!whole || (channels !== 1 && channels !== 3)) {
    const message = `Expected [n, height, width, 1 or 3] for shape but received ${text}${shapeCure(shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (isDetached(images)) throw detached(shape)
  const expected = elementCount(shape)
  if (images.length === expected) return
  const count = (images.length / expected) * (shape[0] ?? 0)
  const ending = Number.isInteger(count) && count > 0 ? `, which is ${countedText(count, 'such image')}` : ''
  const message = `Expected ${expected} bytes for images of ${text} but received ${images.length}${ending}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/** Largest number of classes of labels without names. */
const mostClasses = 2 ** 24

/** The labels, each checked to be one of the classes; without `classes` to be a possible one. */
function checkedLabels(labels: ArrayLike<number>, count: number, classes = mostClasses): Int32Array {
  if (labels.length === count) {
    return Int32Array.from(labels, (label, index) => labelFrom(label, classes, `labels[${index}]`))
  }
  const message = `Expected ${count} labels, one per image, but received ${labels.length}${detachedText(labels)}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/** Class names '0', '1', ... up to the largest label. */
function numbered(labels: Int32Array): string[] {
  const largest = labels.reduce((most, label) => Math.max(most, label), 0)
  return Array.from({ length: largest + 1 }, (_, index) => String(index))
}

const isArrayLike = (value: unknown): value is ArrayLike<number> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)

const labelArray: Check<ArrayLike<number>> = (value, name) => {
  if (isArrayLike(value)) return value
  throw unexpected('an array of integers', name, value)
}

/** Check of pixels or of the bytes of a file. */
export const bytesCheck: Check<Uint8Array> = (value, name) => {
  if (value instanceof Uint8Array) return value
  const cure = value instanceof Float32Array || value instanceof Float64Array ? floatsCure : undefined
  throw unexpected('a Uint8Array', name, value, cure)
}

const floatsCure =
  'use Uint8Array.from(x) for pixels from 0 to 255, Uint8Array.from(x, (value) => 255 * value) from 0 to 1'

const checks = {
  images: bytesCheck,
  shape: arrayOf<number>((side, name) => {
    if (typeof side === 'number') return side
    throw unexpected('an integer of at least 1', name, side)
  }),
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
  checkShape(shape, images)
  const [count = 0, height = 0, width = 0, channels = 0] = shape
  const labels = readable('labels', () => checkedLabels(numbers, count, given?.length))
  const classNames = [...(given ?? numbered(labels))]
  const bytes = imageBytes({ height, width, channels })
  async function read(indices: Int32Array, into: Uint8Array): Promise<readonly ReadFailure[]> {
    if (images.length !== count * bytes) throw detached(shape)
    indices.forEach((index, position) => {
      into.set(images.subarray(index * bytes, (index + 1) * bytes), position * bytes)
    })
    return []
  }
  return { count, height, width, channels, labels, classNames, read }
}
