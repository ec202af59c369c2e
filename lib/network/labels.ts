import { VggError } from '../error.js'
import { readable, unexpected } from '../options.js'
import { detachedText, otherDtype, shapeText, Tensor, valuesOf } from '../tensor.js'

/** Labels of a batch: one integer for each image, from 0 to classes - 1. */
export type Labels = readonly number[] | Int32Array | Uint8Array | Tensor<'int32'> | Tensor<'uint8'> | Tensor

const kindsOfLabels = 'an array of integers, an Int32Array, a Uint8Array, or an int32 or uint8 tensor'

function labelNumbers(labels: unknown): ArrayLike<unknown> {
  if (Array.isArray(labels) || labels instanceof Int32Array || labels instanceof Uint8Array) return labels
  if (!(labels instanceof Tensor)) {
    const cure = ArrayBuffer.isView(labels) ? 'Int32Array.from(labels) converts them' : undefined
    throw unexpected(kindsOfLabels, 'labels', labels, cure)
  }
  if (labels.dtype === 'float32') throw otherDtype(kindsOfLabels, 'labels', labels, 'int32')
  if (labels.shape.length === 1) return valuesOf(labels)
  const cure = labels.shape.length === 2 ? '; await labels.argmax() gives the labels of rows with one 1' : ''
  const message = `Expected shape [n] for labels but received shape ${shapeText(labels.shape)}${cure}`
  throw new VggError('SHAPE_MISMATCH', message)
}

function labelCure(label: unknown, classes: number): string | undefined {
  if (label === classes) return 'classes are counted from 0: subtract 1 from labels that are counted from 1'
  if (Array.isArray(label) || ArrayBuffer.isView(label)) return 'a label is the index of the 1 in such a row'
  if (typeof label === 'string' && Number.isNaN(Number(label))) return 'a label is the index of its name in classNames'
  return ['string', 'bigint', 'boolean'].includes(typeof label) ? `write the number ${Number(label)}` : undefined
}

/** A label: an integer from 0 to classes - 1. @throws INVALID_ARGUMENT */
export function labelFrom(label: unknown, classes: number, name: string): number {
  if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes) return label
  throw readable(name, () => unexpected(`a class from 0 to ${classes - 1}`, name, label, labelCure(label, classes)))
}

/**
 * Labels for the native side, each checked to be an integer from 0 to classes - 1.
 * @param images the expected number of labels, if known
 */
export const labelsOf = (labels: unknown, classes: number, images?: number): Int32Array =>
  readable('labels', () => readLabels(labels, classes, images))

function readLabels(labels: unknown, classes: number, images: number | undefined): Int32Array {
  const numbers = labelNumbers(labels)
  if (images !== undefined && numbers.length !== images) {
    const message = `Expected ${images} labels, one for each image, but received ${numbers.length}${detachedText(numbers)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (numbers.length === 0) throw unexpected('at least one label', 'labels', labels)
  const result = new Int32Array(numbers.length)
  for (let index = 0; index < numbers.length; index++) {
    result[index] = labelFrom(numbers[index], classes, `labels[${index}]`)
  }
  return result
}
