import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Dataset } from '../data/dataset.js'
import { stratifiedIndices, subset } from '../data/derived.js'
import { contentText, headBytes } from '../data/images/formats.js'
import { readCifarFolder } from '../data/sources/cifar.js'
import { type FolderOptions, readFolder } from '../data/sources/folder.js'
import { idxDataset } from '../data/sources/idx.js'
import { readList } from '../data/sources/list.js'
import type { PartOptions, PhotoList } from '../data/sources/photo-list.js'
import { VggError } from '../error.js'
import { notFound } from '../files/not-found.js'
import { openRegularFile } from '../files/regular-file.js'
import { filePath, unexpected } from '../options.js'
import type { DataDescription, RunDescription } from './description.js'

/** Whether a path is that of a list of images, which its extension decides. */
export const isList = (file: string): boolean => /\.[ct]sv$/i.test(file)

interface Parts<T> {
  readonly training: T
  readonly validation: T | undefined
}

/** Location of images of one size. */
interface Location {
  /** Path of a file, or of a folder of CIFAR files. */
  readonly path: string
  /** Part of that folder. */
  readonly set?: 'training' | 'validation'
}

/** Origin of the images of a part, by which images that two datasets share are found. */
export interface Origin extends Location {
  /** Index of each image at that location. */
  readonly indices: Int32Array
}

/** The images of a run before their size is known: files to decode, or images of one size. */
export type Sources =
  | ({ readonly kind: 'files' } & Parts<PhotoList>)
  | ({ readonly kind: 'fixed'; readonly origins: Parts<Origin> } & Parts<Dataset>)

interface Asked
  extends Pick<RunDescription, 'data' | 'validation' | 'classNames' | 'emptyClasses' | 'seed'>,
    Pick<FolderOptions, 'leastClasses'> {}

/** Finds the images without reading any. @throws FILE_NOT_FOUND, FILE_FORMAT, INVALID_ARGUMENT */
export async function findSources(asked: Asked): Promise<Sources> {
  const { data, validation, classNames, emptyClasses, leastClasses, seed } = asked
  if (validation < 0 || validation >= 1) throw unexpected('a share from 0 to below 1', '--split', validation)
  if (data.kind === 'idx') {
    const locations = { training: { path: data.images }, validation: { path: data.validationImages ?? data.images } }
    return held(await idxParts(data, classNames), locations, validation, seed)
  }
  const options = { validation, seed, ...(classNames && { classNames }) }
  if (data.kind === 'list') return { kind: 'files', ...(await listParts(data, options)) }
  await checkFolder(data.path)
  const cifar = await readCifarFolder(data.path, { ...(classNames && { classNames }) })
  if (cifar) {
    const { path: folder } = data
    const locations = {
      training: { path: folder, set: 'training' },
      validation: { path: folder, set: 'validation' },
    } as const
    return held({ validation: undefined, ...cifar }, locations, validation, seed)
  }
  const { training, validation: own } = await readFolder(data.path, {
    ...options,
    ...(emptyClasses && { emptyClasses }),
    ...(leastClasses && { leastClasses }),
  })
  return { kind: 'files', training, validation: own }
}

async function listParts(data: DataDescription & { kind: 'list' }, options: PartOptions): Promise<Parts<PhotoList>> {
  const { path: file, validationPath } = data
  if (validationPath === undefined) return { validation: undefined, ...(await readList(file, options)) }
  const { training } = await readList(file, { ...options, validation: 0 })
  // the training images name the classes, since the validation part may lack some
  const { training: validation } = await readList(validationPath, { classNames: training.classNames })
  return { training, validation }
}

/** @throws FILE_NOT_FOUND, INVALID_ARGUMENT with what the path is, and what to do */
async function checkFolder(folder: string): Promise<void> {
  filePath(folder, 'the data')
  const found = await stat(folder).catch((cause: Error) => {
    throw notFound(`There is no data at ${path.resolve(folder)}`, folder, cause)
  })
  if (found.isDirectory()) return
  const content = (found.isFile() ? await contentIn(folder).catch(() => undefined) : undefined) ?? 'another file'
  const idx = content.includes('gzip') ? ", or give it with '--images FILE' if it is IDX" : ''
  const message = `Expected a folder of images or a list (.csv, .tsv) for the data but ${folder} is ${content}${idx}`
  throw new VggError('INVALID_ARGUMENT', message)
}

async function contentIn(file: string): Promise<string | undefined> {
  const handle = await openRegularFile(file)
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(headBytes), 0, headBytes, 0)
    return contentText(buffer.subarray(0, bytesRead))
  } finally {
    await handle.close()
  }
}

async function idxParts(data: DataDescription & { kind: 'idx' }, classNames: RunDescription['classNames']) {
  const { images, labels, validationImages, validationLabels } = data
  const training = await idxDataset({ images, labels, ...(classNames && { classNames: [...classNames] }) })
  if (validationImages === undefined || validationLabels === undefined) return { training, validation: undefined }
  // the training images name the classes, since a validation file may lack the last ones
  const names = { classNames: training.classNames }
  return { training, validation: await idxDataset({ images: validationImages, labels: validationLabels, ...names }) }
}

const allOf = ({ count }: Dataset): Int32Array => Int32Array.from({ length: count }, (_, index) => index)

/** Images of one size in two parts: those of the data, or a share held out of the training images. */
function held(
  { training, validation }: Parts<Dataset>,
  locations: Record<'training' | 'validation', Location>,
  share: number,
  seed: number,
): Sources {
  const heldOut = Math.round(share * training.count)
  if (validation !== undefined || heldOut === 0) {
    const origins = {
      training: { ...locations.training, indices: allOf(training) },
      validation: validation && { ...locations.validation, indices: allOf(validation) },
    }
    return { kind: 'fixed', training, validation, origins }
  }
  const indices = stratifiedIndices(training.labels, training.classNames.length, heldOut, seed)
  return {
    kind: 'fixed',
    training: subset(training, indices.training),
    validation: subset(training, indices.validation),
    origins: {
      training: { ...locations.training, indices: indices.training },
      validation: { ...locations.training, indices: indices.validation },
    },
  }
}
