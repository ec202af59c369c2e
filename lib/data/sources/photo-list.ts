import { VggError } from '../../error.js'
import { arrayOf, type Check, fraction, integer, optional, seed, text, unexpected, withDefault } from '../../options.js'
import { stratifiedIndices } from '../derived.js'
import type { PhotoSource } from '../images/decode.js'

/** A list of labelled image files. None of them has been opened. */
export interface PhotoList {
  /** The source of each image. */
  readonly sources: readonly PhotoSource[]
  /** The name of each image in messages and reports, such as its path. */
  readonly names: readonly string[]
  /** The class of each image, 0 to `classNames.length - 1`. */
  readonly labels: Int32Array
  /** The name of each class. */
  readonly classNames: readonly string[]
}

/** A list of images in two parts that share none. */
export interface PhotoParts {
  /** The images for training. */
  readonly training: PhotoList
  /** The images that are held out. Absent if there are none. */
  readonly validation?: PhotoList
}

/** How the images of a folder or a list are divided into training and validation. */
export interface PartOptions {
  /**
   * Share of every class that is held out for validation, 0 to below 1. Default 0. Ignored if the folder has a
   * validation part.
   */
  validation?: number | undefined
  /** Seed of the random division. Default 0. */
  seed?: number | undefined
  /**
   * The classes expected, in this order, such as those of a trained model. Any other class is an error, a missing class
   * is not. Default: the classes found, in the order of their names.
   */
  classNames?: readonly string[] | undefined
}

/** Checks of {@link PartOptions}. */
export const partChecks = {
  validation: withDefault(fraction, 0),
  seed: withDefault(seed, 0),
  classNames: optional(arrayOf(text)),
}

const sourceCheck: Check<PhotoSource> = (value, name) => {
  const fits = typeof value === 'string' || typeof value === 'function' || value instanceof Uint8Array
  if (fits) return value as PhotoSource
  throw unexpected('a path, bytes or a function that returns bytes', name, value)
}

const stringCheck: Check<string> = (value, name) => {
  if (typeof value === 'string') return value
  throw unexpected('a string', name, value)
}

/**
 * Copies a list and checks it.
 *
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH if the numbers of sources, names and labels differ
 */
export function checkedList(list: PhotoList): PhotoList {
  const sources = arrayOf(sourceCheck)(list?.sources, 'sources')
  const names = arrayOf(stringCheck)(list.names, 'names')
  const classNames = arrayOf(stringCheck)(list.classNames, 'classNames')
  if (sources.length === 0) throw unexpected('at least one image', 'sources', sources)
  const count = sources.length
  if (names.length !== count || list.labels?.length !== count) {
    const message = `Expected a name and a label for each of ${count} images but received ${names.length} names and ${list.labels?.length} labels`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const label = integer(0, classNames.length - 1)
  const labels = Int32Array.from(list.labels, (value, index) => label(value, `labels[${index}]`))
  return { sources, names, labels, classNames }
}

/** The images of a list with these indices, in this order. */
export function selectPhotos(list: PhotoList, indices: Int32Array): PhotoList {
  const check = integer(0, list.sources.length - 1)
  const selected = <T>(values: readonly T[]): T[] => {
    const chosen: T[] = []
    for (const index of indices) chosen.push(values[check(index, 'indices')] as T)
    return chosen
  }
  const sources = selected(list.sources)
  return {
    sources,
    names: list.names === list.sources ? (sources as string[]) : selected(list.names),
    labels: indices.map((index) => list.labels[index] ?? -1),
    classNames: list.classNames,
  }
}

/**
 * Holds out a random share of every class for validation (stratified). Each part keeps the order of the list.
 *
 * @param share 0 (all for training) to below 1; rounded to whole images, at least one for each part
 * @param seed equal seeds give equal parts
 */
export function splitPhotos(list: PhotoList, share: number, seed: number): PhotoParts {
  if (share === 0) return { training: list }
  const count = list.sources.length
  const heldOut = Math.min(count - 1, Math.max(1, Math.round(share * count)))
  const { training, validation } = stratifiedIndices(list.labels, list.classNames.length, heldOut, seed)
  return { training: selectPhotos(list, training.sort()), validation: selectPhotos(list, validation.sort()) }
}
