import { stat } from 'node:fs/promises'
import path from 'node:path'
import { readCifarFolder } from '../data/cifar.js'
import type { Dataset } from '../data/dataset.js'
import { type PartOptions, readFolder } from '../data/folder.js'
import { idxDataset } from '../data/idx.js'
import { readList } from '../data/list.js'
import type { PhotoList } from '../data/photographs.js'
import { stratifiedSplit } from '../data/split.js'
import { VggError } from '../error.js'
import { unexpected } from '../options.js'
import type { DataDescription, RunDescription } from './description.js'

interface Parts<T> {
  readonly training: T
  readonly validation: T | undefined
}

/** The pictures of a run before it is known what size they are to have: files to be decoded, or pictures of one size. */
export type Sources =
  | ({ readonly kind: 'photographs' } & Parts<PhotoList>)
  | ({ readonly kind: 'fixed' } & Parts<Dataset>)

type Asked = Pick<RunDescription, 'data' | 'validation' | 'classNames' | 'seed'>

/** Finds the pictures; reads no photograph. @throws FILE_NOT_FOUND, FILE_FORMAT, INVALID_ARGUMENT */
export async function findSources({ data, validation, classNames, seed }: Asked): Promise<Sources> {
  if (validation < 0 || validation >= 1) throw unexpected('a share from 0 to below 1', '--split', validation)
  if (data.kind === 'idx') return { kind: 'fixed', ...held(await idxParts(data, classNames), validation, seed) }
  const options = { validation, seed, ...(classNames && { classNames }) }
  if (data.kind === 'list') return { kind: 'photographs', ...(await listParts(data, options)) }
  await checkFolder(data.path)
  const cifar = await readCifarFolder(data.path, { ...(classNames && { classNames }) })
  if (cifar) return { kind: 'fixed', ...held({ validation: undefined, ...cifar }, validation, seed) }
  const { training, validation: own } = await readFolder(data.path, options)
  return { kind: 'photographs', training, validation: own }
}

async function listParts(data: DataDescription & { kind: 'list' }, options: PartOptions): Promise<Parts<PhotoList>> {
  const { path: file, validationPath } = data
  if (validationPath === undefined) return { validation: undefined, ...(await readList(file, options)) }
  const { training } = await readList(file, { ...options, validation: 0 })
  // The training pictures name the classes: a part for validation may lack some.
  const { training: validation } = await readList(validationPath, { classNames: training.classNames })
  return { training, validation }
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((cause: Error) => {
    throw new VggError('FILE_NOT_FOUND', `There is no data at ${path.resolve(folder)}`, { cause })
  })
  if (!found.isDirectory()) {
    const message = `Expected a folder of photographs or a list (.csv, .tsv) for the data but ${folder} is another file`
    throw new VggError('INVALID_ARGUMENT', message)
  }
}

async function idxParts(data: DataDescription & { kind: 'idx' }, classNames: RunDescription['classNames']) {
  const { images, labels, validationImages, validationLabels } = data
  const training = await idxDataset({ images, labels, ...(classNames && { classNames: [...classNames] }) })
  if (validationImages === undefined || validationLabels === undefined) return { training, validation: undefined }
  // The training pictures name the classes: a validation file may lack the last of them.
  const names = { classNames: training.classNames }
  return { training, validation: await idxDataset({ images: validationImages, labels: validationLabels, ...names }) }
}

function held({ training, validation }: Parts<Dataset>, share: number, seed: number): Parts<Dataset> {
  const heldOut = Math.round(share * training.count)
  return validation !== undefined || heldOut === 0 ? { training, validation } : stratifiedSplit(training, heldOut, seed)
}
