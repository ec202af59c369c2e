import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { VggError } from '../../error.js'
import { readRegularFile } from '../../files/regular-file.js'
import { arrayOf, filePath, oneOf, optional, readOptions, text, unexpected } from '../../options.js'
import type { Dataset } from '../dataset.js'
import { contentText } from '../images/formats.js'
import { arrayDataset } from './arrays.js'
import { fileError } from './file-error.js'

const side = 32
const plane = side * side
const pixels = 3 * plane

/** The record formats: a file has records of one or two labels and an image in three planes. */
const kinds = {
  'cifar-10': { labelBytes: 1, names: 'batches.meta.txt' },
  'cifar-100': { labelBytes: 2, names: 'fine_label_names.txt' },
} as const

type Kind = keyof typeof kinds

/** Options of {@link readCifar}. */
export interface CifarOptions {
  /** The dataset of the files. Default: recognised by the length of the files; if both are possible, by the labels. */
  kind?: Kind | undefined
  /** The labels to use of CIFAR-100: the 100 classes (`fine`, the default) or their 20 groups (`coarse`). */
  labels?: 'fine' | 'coarse' | undefined
  /**
   * The name of each class. Default: the names in batches.meta.txt, fine_label_names.txt or coarse_label_names.txt in the
   * folder of the first file, or numbers if there is no such file.
   */
  classNames?: readonly string[] | undefined
}

const checks = {
  kind: optional(oneOf('cifar-10', 'cifar-100')),
  labels: optional(oneOf('fine', 'coarse')),
  classNames: optional(arrayOf(text)),
}

/** Limit on the length of all files of a dataset, packed and unpacked, above that of these datasets. It protects the memory. */
const largestBytes = 2 ** 29

const unzip = promisify(gunzip)

/** Limit on the length of a file of class names. */
const largestNames = 2 ** 20

/** Reads a file, plain or gzip. @param limit greatest number of bytes, packed and unpacked */
async function bytesOf(file: string, limit: number): Promise<Uint8Array> {
  try {
    const bytes = await readRegularFile(file, limit)
    // No label is as large as the first byte of a gzip file.
    const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b
    return zipped ? await unzip(bytes, { maxOutputLength: limit }) : bytes
  } catch (error) {
    throw fileError(error, file, `a whole gzip file of at most ${limit} bytes`)
  }
}

/** Whether all labels are in range: below 10 in CIFAR-10, below 20 (groups) and 100 in CIFAR-100. */
function labelsFit(bytes: Uint8Array, kind: Kind): boolean {
  const { labelBytes } = kinds[kind]
  for (let start = 0; start < bytes.length; start += labelBytes + pixels) {
    const [first = 255, second = 255] = bytes.subarray(start, start + 2)
    if (kind === 'cifar-10' ? first >= 10 : first >= 20 || second >= 100) return false
  }
  return true
}

function kindOf(bytes: Uint8Array, file: string, given: Kind | undefined): Kind {
  const candidates = (Object.keys(kinds) as Kind[]).filter((kind) => given === undefined || kind === given)
  const fitting = candidates.filter(
    (kind) => bytes.length > 0 && bytes.length % (kinds[kind].labelBytes + pixels) === 0,
  )
  const [kind] = fitting.filter((candidate) => labelsFit(bytes, candidate))
  if (kind !== undefined) return kind
  const lengths = candidates
    .map((candidate) => `${kinds[candidate].labelBytes + pixels} bytes (${candidate})`)
    .join(' or ')
  const content = contentText(bytes)
  const damage = fitting.length > 0 ? 'it has labels out of range' : `it has ${bytes.length} bytes`
  const found = content === undefined ? damage : `it is ${content}`
  throw new VggError('FILE_FORMAT', `Expected records of ${lengths} for ${file} but ${found}`)
}

/** Reads class names from a file with one name per line; returns undefined if there is no such file. */
async function namesIn(file: string, count: number): Promise<string[] | undefined> {
  let content: string
  try {
    content = String(await readRegularFile(file, largestNames))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fileError(error, file)
  }
  const names = content.split('\n').map((line) => line.trim())
  const given = names.filter((name) => name !== '')
  if (given.length === count) return given
  throw new VggError('FILE_FORMAT', `Expected ${count} names for ${file} but it has ${given.length}`)
}

/** Converts an image from planes to interleaved channels. */
function interleave(from: Uint8Array, into: Uint8Array): void {
  for (let pixel = 0; pixel < plane; pixel++) {
    for (let channel = 0; channel < 3; channel++) into[3 * pixel + channel] = from[channel * plane + pixel] ?? 0
  }
}

/**
 * Reads files of CIFAR-10 (data_batch_1.bin ...) or CIFAR-100 (train.bin) in the binary version, plain or gzip, into one
 * dataset in memory: 32x32 images with three channels.
 *
 * @throws VggError FILE_NOT_FOUND; FILE_FORMAT if a length or a label fits neither dataset; INVALID_ARGUMENT
 */
export async function readCifar(files: string | readonly string[], options: CifarOptions = {}): Promise<Dataset> {
  const given = readOptions(options, 'readCifar options', checks)
  const paths = arrayOf(filePath)(typeof files === 'string' ? [files] : files, 'files')
  const [first] = paths
  if (first === undefined) throw unexpected('at least one file', 'files', files)
  const parts: Uint8Array[] = []
  let kind = given.kind
  let room = largestBytes
  for (const file of paths) {
    const bytes = await bytesOf(file, room)
    kind = kindOf(bytes, file, kind)
    parts.push(bytes)
    room -= bytes.length
  }
  const { labelBytes, names } = kinds[kind ?? 'cifar-10']
  const coarse = given.labels === 'coarse'
  if (coarse && labelBytes === 1) throw unexpected("'fine' (CIFAR-10 has no groups of classes)", 'labels', 'coarse')
  const record = labelBytes + pixels
  const count = parts.reduce((sum, bytes) => sum + bytes.length / record, 0)
  const images = new Uint8Array(count * pixels)
  const labels = new Int32Array(count)
  let index = 0
  for (const bytes of parts) {
    for (let start = 0; start < bytes.length; start += record, index++) {
      labels[index] = bytes[start + (coarse ? 0 : labelBytes - 1)] ?? -1
      interleave(
        bytes.subarray(start + labelBytes, start + record),
        images.subarray(index * pixels, (index + 1) * pixels),
      )
    }
  }
  const classes = labelBytes === 1 ? 10 : coarse ? 20 : 100
  const beside = path.join(path.dirname(first), coarse ? 'coarse_label_names.txt' : names)
  const numbers = Array.from({ length: classes }, (_, label) => String(label))
  const classNames = given.classNames ?? (await namesIn(beside, classes)) ?? numbers
  return arrayDataset({ images, shape: [count, side, side, 3], labels, classNames })
}

/** The two parts of a dataset as it is distributed. */
export interface CifarParts {
  /** The images of data_batch_*.bin or train.bin. */
  readonly training: Dataset
  /** The images of test_batch.bin or test.bin. Absent if there is no such file. */
  readonly validation?: Dataset
}

/**
 * Reads the CIFAR files of a folder: data_batch_1.bin to data_batch_5.bin or train.bin for training, and test_batch.bin or
 * test.bin, if present, for validation. Each name may end in .gz.
 *
 * @returns undefined if the folder has no such files
 * @throws VggError the errors of {@link readCifar}
 */
export async function readCifarFolder(folder: string, options: CifarOptions = {}): Promise<CifarParts | undefined> {
  const entries = (await readdir(folder).catch((error) => {
    throw fileError(error, folder)
  })) as string[]
  const matching = (pattern: RegExp) =>
    entries
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => path.join(folder, name))
  const training = matching(/^(data_batch_\d+|train)\.bin(\.gz)?$/)
  const validation = matching(/^(test_batch|test)\.bin(\.gz)?$/)
  if (training.length === 0) return undefined
  const parts = { training: await readCifar(training, options) }
  return validation.length === 0 ? parts : { ...parts, validation: await readCifar(validation, options) }
}
