import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { VggError } from '../../error.js'
import { arrayOf, filePath, optional, readOptions, text } from '../../options.js'
import type { Dataset } from '../dataset.js'
import { contentText } from '../images/formats.js'
import { type ArrayData, arrayDataset } from './arrays.js'
import { fileError } from './file-error.js'

/** The content of an IDX file: unsigned bytes in row-major order. */
export interface Idx {
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

const typeNames: Readonly<Record<number, string>> = {
  8: 'unsigned byte',
  9: 'signed byte',
  11: 'short',
  12: 'int',
  13: 'float',
  14: 'double',
}

/** A header that asks for more is treated as damaged: 4 GiB, the limit of one array. */
const largestBytes = 2 ** 32 - 1

/** Reads the shape and the length of the header; returns undefined while `bytes` is too short. */
function headerOf(bytes: Buffer, path: string): { shape: number[]; headerBytes: number } | undefined {
  if (bytes.length < 4) return undefined
  const [zeroA, zeroB, type = 0, rank = 0] = bytes
  if (zeroA !== 0 || zeroB !== 0 || !(type in typeNames)) {
    const found = contentText(bytes) ?? `of another kind: it begins with ${bytes.subarray(0, 4).toString('hex')}`
    throw new VggError('FILE_FORMAT', `Expected an IDX file (it begins with 0000 08) for ${path} but it is ${found}`)
  }
  if (type !== 8) {
    throw new VggError(
      'FILE_FORMAT',
      `Expected unsigned bytes for ${path} but its elements are of type ${typeNames[type]}`,
    )
  }
  if (rank < 1 || rank > 4) {
    throw new VggError('FILE_FORMAT', `Expected 1 to 4 dimensions for ${path} but its header says ${rank}`)
  }
  const headerBytes = 4 + 4 * rank
  if (bytes.length < headerBytes) return undefined
  const shape = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis))
  return { shape, headerBytes }
}

function sizeOf(shape: readonly number[], path: string): number {
  const bytes = shape.reduce((product, side) => product * side, 1)
  if (bytes >= 1 && bytes <= largestBytes) return bytes
  const expected = bytes < 1 ? 'at least one image or label' : `at most ${largestBytes} elements`
  throw new VggError('FILE_FORMAT', `Expected ${expected} for ${path} but its header says ${shape.join('x')}`)
}

/** Opens a file and unpacks it if it is gzip, which is recognised by its first two bytes. */
async function open(path: string): Promise<Readable> {
  const first = createReadStream(path, { end: 1 })
  const chunks: Buffer[] = []
  for await (const chunk of first) chunks.push(chunk as Buffer)
  const zipped = Buffer.concat(chunks).equals(Buffer.from([0x1f, 0x8b]))
  const file = createReadStream(path, { highWaterMark: 1 << 20 })
  if (!zipped) return file
  const plain = createGunzip({ chunkSize: 1 << 20 })
  file.on('error', (error) => plain.destroy(error))
  plain.on('close', () => file.destroy())
  return file.pipe(plain)
}

async function bytesOf(stream: Readable, path: string): Promise<Idx> {
  let header: ReturnType<typeof headerOf>
  let expected = Number.POSITIVE_INFINITY
  let received = 0
  // Chunks are collected instead of allocating the size in the header: a damaged header can ask for gigabytes.
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer)
    received += (chunk as Buffer).length
    if (header === undefined) {
      const start = Buffer.concat(chunks)
      chunks.splice(0, chunks.length, start)
      header = headerOf(start, path)
      if (header !== undefined) expected = header.headerBytes + sizeOf(header.shape, path)
    }
    if (received > expected) break
  }
  if (header === undefined) {
    throw new VggError(
      'FILE_FORMAT',
      `Expected an IDX header for ${path} but the file ends after ${received} bytes: copy or download it again`,
    )
  }
  if (received !== expected) {
    const found = received > expected ? 'more follow' : `the file ends after ${received}: copy or download it again`
    const shape = header.shape.join('x')
    throw new VggError(
      'FILE_FORMAT',
      `Expected ${expected} bytes for ${path}, whose header says ${shape}, but ${found}`,
    )
  }
  return { shape: header.shape, data: new Uint8Array(Buffer.concat(chunks, received)).subarray(header.headerBytes) }
}

/**
 * Reads one IDX file (the format of MNIST), plain or gzip: unsigned bytes with 1 to 4 dimensions. Its length must match
 * its header exactly.
 *
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT
 */
export async function readIdx(path: string): Promise<Idx> {
  try {
    return await bytesOf(await open(path), path)
  } catch (error) {
    throw error instanceof VggError ? error : fileError(error, path)
  }
}

/** The IDX files of a labelled dataset, and the names of its classes. */
export interface IdxFiles extends Pick<ArrayData, 'classNames'> {
  /** Path of the images: [n, height, width] for grey images, or [n, height, width, channels] with 1 or 3 channels. */
  images: string
  /** Path of the labels: [n], the class of each image. */
  labels: string
}

const checks = { images: filePath, labels: filePath, classNames: optional(arrayOf(text)) }

/**
 * Reads images and labels from two IDX files into a dataset in memory.
 *
 * @throws VggError INVALID_ARGUMENT, FILE_NOT_FOUND, FILE_FORMAT; SHAPE_MISMATCH if the numbers of images and labels differ
 */
export async function idxDataset(files: IdxFiles): Promise<Dataset> {
  const { classNames } = readOptions(files, 'idxDataset options', checks)
  const images = await readIdx(files.images)
  const labels = await readIdx(files.labels)
  if (images.shape.length < 3) {
    const found = images.shape.join('x')
    throw new VggError(
      'FILE_FORMAT',
      `Expected images of [n, height, width] for ${files.images} but its shape is ${found}`,
    )
  }
  if (labels.shape.length !== 1) {
    const found = labels.shape.join('x')
    throw new VggError('FILE_FORMAT', `Expected one label per image for ${files.labels} but its shape is ${found}`)
  }
  if (images.shape[0] !== labels.shape[0]) {
    const message = `Expected as many labels as images but ${files.images} holds ${images.shape[0]} images and ${files.labels} ${labels.shape[0]} labels`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const [count = 0, height = 0, width = 0, channels = 1] = images.shape
  return arrayDataset({
    images: images.data,
    shape: [count, height, width, channels],
    labels: labels.data,
    ...(classNames && { classNames }),
  })
}
