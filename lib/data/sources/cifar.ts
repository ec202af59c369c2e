import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { VggError } from '../../error.js'
import { arrayOf, filePath, oneOf, optional, readOptions, text, unexpected } from '../../options.js'
import type { Dataset } from '../dataset.js'
import { arrayDataset } from './arrays.js'
import { fileError } from './file-error.js'

const side = 32
const plane = side * side
const pixels = 3 * plane

/** Each file holds records of labels and an image, its three planes one after another. */
const kinds = {
  'cifar-10': { labelBytes: 1, names: 'batches.meta.txt' },
  'cifar-100': { labelBytes: 2, names: 'fine_label_names.txt' },
} as const

type Kind = keyof typeof kinds

/** How CIFAR files are read. */
export interface CifarOptions {
  /** Default: as the files' length says; where both fit, as the labels do. */
  kind?: Kind
  /** Of CIFAR-100: the 100 classes (default) or the 20 groups of them. */
  labels?: 'fine' | 'coarse'
  /** Default: from batches.meta.txt, fine_label_names.txt or coarse_label_names.txt beside the first file, else numbers. */
  classNames?: readonly string[]
}

const checks = {
  kind: optional(oneOf('cifar-10', 'cifar-100')),
  labels: optional(oneOf('fine', 'coarse')),
  classNames: optional(arrayOf(text)),
}

/** More than any file of these sets has. What unpacks to more is refused before it fills the memory. */
const largestBytes = 2 ** 29

const unzip = promisify(gunzip)

const packed = `a whole gzip file of at most ${largestBytes} bytes`

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size > largestBytes) {
      throw new VggError('FILE_FORMAT', `Expected at most ${largestBytes} bytes for ${file} but it has ${size}`)
    }
    const bytes = await readFile(file)
    // No label is as large as gzip's first byte.
    const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b
    return zipped ? await unzip(bytes, { maxOutputLength: largestBytes }) : bytes
  } catch (error) {
    throw error instanceof VggError ? error : fileError(error, file, packed)
  }
}

/** Whether all first labels are below 10 (20 groups in CIFAR-100) and the second ones below 100. */
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
  const archive = Buffer.from(bytes.subarray(257, 262)).toString('latin1') === 'ustar'
  const found = fitting.length > 0 ? 'it has labels that are no classes' : `it has ${bytes.length} bytes`
  const ending = archive ? ': it is an archive, unpack it first' : ''
  throw new VggError('FILE_FORMAT', `Expected records of ${lengths} for ${file} but ${found}${ending}`)
}

/** The names in a file beside, one a line, or undefined where there is none. */
async function namesIn(file: string, count: number): Promise<string[] | undefined> {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fileError(error, file)
  }
  const names = content.split('\n').map((line) => line.trim())
  const given = names.filter((name) => name !== '')
  if (given.length === count) return given
  throw new VggError('FILE_FORMAT', `Expected ${count} names for ${file} but it has ${given.length}`)
}

/** From plane after plane, as the file has it, to pixel after pixel. */
function interleave(from: Uint8Array, into: Uint8Array): void {
  for (let position = 0; position < plane; position++) {
    for (let channel = 0; channel < 3; channel++) into[3 * position + channel] = from[channel * plane + position] ?? 0
  }
}

/**
 * The images of CIFAR-10 (data_batch_1.bin ...) or CIFAR-100 (train.bin) in the binary version, plain or gzip, read
 * into memory one file after another: 32x32, three channels.
 *
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT where a length or label fits neither, INVALID_ARGUMENT
 */
export async function readCifar(files: string | readonly string[], options: CifarOptions = {}): Promise<Dataset> {
  const given = readOptions(options, 'readCifar options', checks)
  const paths = arrayOf(filePath)(typeof files === 'string' ? [files] : files, 'files')
  const [first] = paths
  if (first === undefined) throw unexpected('at least one file', 'files', files)
  const parts: Uint8Array[] = []
  let kind = given.kind
  for (const file of paths) {
    const bytes = await bytesOf(file)
    kind = kindOf(bytes, file, kind)
    parts.push(bytes)
  }
  const { labelBytes, names } = kinds[kind ?? 'cifar-10']
  const coarse = given.labels === 'coarse'
  if (coarse && labelBytes === 1) throw unexpected('no groups of classes, which CIFAR-10 has not,', 'labels', 'coarse')
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

/** The two parts of a set as it is distributed. */
export interface CifarParts {
  /** data_batch_*.bin or train.bin. */
  readonly training: Dataset
  /** test_batch.bin or test.bin; absent where there is none. */
  readonly validation?: Dataset
}

/**
 * The CIFAR files of a folder: data_batch_1.bin to data_batch_5.bin or train.bin for training, test_batch.bin or
 * test.bin for validation where it is there; each may end in .gz.
 *
 * @returns undefined where the folder holds no such files
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
