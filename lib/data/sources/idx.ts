import type { FileHandle } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { VggError, withEnd } from '../../error.js'
import { openRegularFile } from '../../files/regular-file.js'
import { availableMainMemory } from '../../main-memory.js'
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

/** Length of the longest header: 4 bytes, and 4 for each of 4 dimensions. */
const longestHeader = 20

/** Greatest number of bytes that one byte of gzip can unpack to. */
const mostUnpacked = 1032

/** Reads the shape of a file from its first bytes. @throws FILE_FORMAT */
function shapeIn(bytes: Buffer, path: string): number[] {
  const formatError = (message: string) => new VggError('FILE_FORMAT', message)
  const [zeroA, zeroB, type = 0, rank = 0] = bytes
  if (bytes.length >= 4 && (zeroA !== 0 || zeroB !== 0 || !(type in typeNames))) {
    const found = contentText(bytes) ?? `of another kind: it begins with ${bytes.subarray(0, 4).toString('hex')}`
    throw formatError(`Expected an IDX file (it begins with 0000 08) for ${path} but it is ${found}`)
  }
  if (bytes.length >= 4 && type !== 8) {
    throw formatError(`Expected unsigned bytes for ${path} but its elements are of type ${typeNames[type]}`)
  }
  if (bytes.length >= 4 && (rank < 1 || rank > 4)) {
    throw formatError(`Expected 1 to 4 dimensions for ${path} but its header says ${rank}`)
  }
  if (bytes.length < 4 + 4 * rank) {
    const cure = `the file ends after ${bytes.length} bytes: copy or download it again`
    throw formatError(`Expected an IDX header for ${path} but ${cure}`)
  }
  const shape = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis))
  const size = sizeOf(shape)
  if (size >= 1 && size <= largestBytes) return shape
  const expected = size < 1 ? 'at least one image or label' : `at most ${largestBytes} elements`
  throw formatError(`Expected ${expected} for ${path} but its header says ${shape.join('x')}`)
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1)

/** An open IDX file whose header was read and compared with the length of the file. Its data are still to be read. */
interface OpenIdx {
  readonly shape: readonly number[]
  /** Reads the data. @throws FILE_FORMAT if there are fewer or more than the header says; OUT_OF_MEMORY */
  data(): Promise<Uint8Array>
}

/** The content of an open file in pieces, unpacked if it is gzip. */
async function* piecesOf(handle: FileHandle, zipped: boolean): AsyncGenerator<Buffer> {
  const file = handle.createReadStream({ start: 0, highWaterMark: 1 << 20, autoClose: false })
  if (!zipped) {
    yield* file
    return
  }
  const plain = createGunzip({ chunkSize: 1 << 20 })
  file.on('error', (error) => plain.destroy(error))
  try {
    yield* file.pipe(plain)
  } finally {
    plain.destroy()
    file.destroy()
  }
}

async function isGzip(handle: FileHandle): Promise<boolean> {
  const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0)
  return buffer.equals(Buffer.from([0x1f, 0x8b]))
}

/** A file of `size` bytes, of which `pieces` is the content. */
interface Opened {
  readonly path: string
  readonly size: number
  readonly zipped: boolean
  readonly pieces: AsyncGenerator<Buffer>
}

async function idxIn({ path, size, zipped, pieces }: Opened): Promise<OpenIdx> {
  let start = Buffer.alloc(0)
  while (start.length < longestHeader) {
    const { value, done } = await pieces.next()
    if (done) break
    start = Buffer.concat([start, value])
  }
  const shape = shapeIn(start, path)
  const [headerBytes, bytes] = [4 + 4 * shape.length, sizeOf(shape)]
  const expected = headerBytes + bytes
  const wrong = (found: string) => {
    const what = `Expected ${expected} bytes for ${path}, whose header says ${shape.join('x')}`
    return new VggError('FILE_FORMAT', `${what}, but ${found}`)
  }
  const endsAfter = (received: number) => wrong(`the file ends after ${received}: copy or download it again`)
  // before memory is allocated for what the header says
  if (!zipped && size > expected) throw wrong('more follow')
  if (!zipped && size < expected) throw endsAfter(size)
  if (zipped && size * mostUnpacked < expected) {
    throw wrong(`the ${size} bytes of gzip hold at most ${size * mostUnpacked}: copy or download it again`)
  }
  async function data(): Promise<Uint8Array> {
    const into = allocated(bytes, path)
    let received = 0
    const add = (piece: Buffer): void => {
      if (received + piece.length > bytes) throw wrong('more follow')
      into.set(piece, received)
      received += piece.length
    }
    add(start.subarray(headerBytes))
    for await (const piece of pieces) add(piece)
    if (received < bytes) throw endsAfter(headerBytes + received)
    return into
  }
  return { shape, data }
}

/** @throws OUT_OF_MEMORY */
function allocated(bytes: number, path: string): Uint8Array {
  const available = availableMainMemory()
  if (bytes <= available) return new Uint8Array(bytes)
  const message = `Expected ${bytes} bytes of memory for the content of ${path} but ${available} are available`
  throw new VggError('OUT_OF_MEMORY', message)
}

/** Opens an IDX file, plain or gzip, and closes it after `use`. @throws FILE_NOT_FOUND; FILE_FORMAT */
async function withIdx<T>(path: string, use: (file: OpenIdx) => Promise<T>): Promise<T> {
  try {
    const handle = await openRegularFile(path)
    const read = async (): Promise<T> => {
      const [{ size }, zipped] = [await handle.stat(), await isGzip(handle)]
      const pieces = piecesOf(handle, zipped)
      return withEnd(
        async () => use(await idxIn({ path, size, zipped, pieces })),
        () => pieces.return(undefined),
      )
    }
    return await withEnd(read, () => handle.close())
  } catch (error) {
    throw fileError(error, path)
  }
}

/**
 * Reads one IDX file (the format of MNIST), plain or gzip: unsigned bytes with 1 to 4 dimensions. Its length must match
 * its header exactly, and is compared with it before memory is allocated.
 *
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT, OUT_OF_MEMORY
 */
export async function readIdx(path: string): Promise<Idx> {
  return withIdx(path, async ({ shape, data }) => ({ shape, data: await data() }))
}

/** The IDX files of a labelled dataset, and the names of its classes. */
export interface IdxFiles extends Pick<ArrayData, 'classNames'> {
  /** Path of the images: [n, height, width] for grey images, or [n, height, width, channels] with 1 or 3 channels. */
  images: string
  /** Path of the labels: [n], the class of each image. */
  labels: string
}

const checks = { images: filePath, labels: filePath, classNames: optional(arrayOf(text)) }

/** @throws FILE_FORMAT if a shape is not that of images and labels; SHAPE_MISMATCH if their numbers differ */
function checkPair(images: Pick<Idx, 'shape'>, labels: Pick<Idx, 'shape'>, files: IdxFiles): void {
  const wrong = (what: string, path: string, { shape }: Pick<Idx, 'shape'>) =>
    new VggError('FILE_FORMAT', `Expected ${what} for ${path} but its shape is ${shape.join('x')}`)
  const [count, , , channels = 1] = images.shape
  if (images.shape.length < 3) throw wrong('images of [n, height, width]', files.images, images)
  if (channels !== 1 && channels !== 3) throw wrong('images of 1 or 3 channels', files.images, images)
  if (labels.shape.length !== 1) throw wrong('one label per image', files.labels, labels)
  if (count === labels.shape[0]) return
  const message = `Expected as many labels as images but ${files.images} holds ${count} images and ${files.labels} ${labels.shape[0]} labels`
  throw new VggError('SHAPE_MISMATCH', message)
}

/**
 * Reads images and labels from two IDX files into a dataset in memory. Their headers are compared before anything is
 * unpacked.
 *
 * @throws VggError INVALID_ARGUMENT, FILE_NOT_FOUND, FILE_FORMAT, OUT_OF_MEMORY; SHAPE_MISMATCH if the numbers of images and
 *   labels differ
 */
export async function idxDataset(files: IdxFiles): Promise<Dataset> {
  const { classNames, ...paths } = readOptions(files, 'idxDataset options', checks)
  return withIdx(paths.images, (images) =>
    withIdx(paths.labels, async (labels) => {
      checkPair(images, labels, paths)
      const [count = 0, height = 0, width = 0, channels = 1] = images.shape
      const numbers = await labels.data()
      return arrayDataset({
        images: await images.data(),
        shape: [count, height, width, channels],
        labels: numbers,
        ...(classNames && { classNames }),
      })
    }),
  )
}
