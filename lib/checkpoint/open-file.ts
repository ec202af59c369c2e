import { type FileHandle, open, stat } from 'node:fs/promises'
import { VggError } from '../error.js'
import { parametersOf } from '../network/layer.js'
import { systemCode } from './atomic-file.js'
import { checkEntries, layersOfModel, type Model, modelFrom } from './model.js'
import { type Entry, headerLength, lengthBytes, parseHeader } from './safetensors.js'

/** What the metadata of every file of vggnet name. */
export const format = 'vggnet'

/**
 * '1': a model: its parameters. '2': a training as well: the velocities under the names of the parameters behind
 * `velocity/`, tables behind `table/`, and the rest in the metadata.
 */
export const versions = { model: '1', training: '2' } as const

/** What stands before the name of a parameter whose velocity it is. */
export const velocityPrefix = 'velocity/'
export const tablePrefix = 'table/'

/** A file of a newer vggnet: it is whole, and yet cannot be read. */
export class NewerFormat extends VggError {}

/** A file of vggnet whose header was read and is right. */
export interface OpenFile {
  readonly model: Model
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of their bytes. */
  readonly parameters: readonly Entry[]
  readonly velocities: readonly Entry[]
  readonly tables: readonly Entry[]
  /** The bytes of a tensor. */
  read(entry: Entry): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * Opens a file, and closes it after `use`.
 * @throws FILE_NOT_FOUND; FILE_FORMAT with the path before the message, also for what `use` throws
 */
export async function withFile<T>(path: string, use: (file: OpenFile) => Promise<T>): Promise<T> {
  const handle = await opened(path)
  try {
    return await use(await readHeader(handle))
  } catch (error) {
    throw named(error, path)
  } finally {
    await handle.close()
  }
}

function named(error: unknown, path: string): unknown {
  if (!(error instanceof VggError) || error.code !== 'FILE_FORMAT') return error
  const Kind = error instanceof NewerFormat ? NewerFormat : VggError
  return new Kind('FILE_FORMAT', `${path}: ${error.message}`, { cause: error })
}

async function opened(path: string): Promise<FileHandle> {
  try {
    // before opening, which waits for a writer when the path is a pipe
    if (!(await stat(path)).isFile()) throw new VggError('FILE_FORMAT', `${path} is not a file`)
    return await open(path, 'r')
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    const missing = systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
    const message = missing ? `There is no file ${path}` : `Could not open ${path}: ${(cause as Error).message}`
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled)
    if (bytesRead === 0)
      throw new VggError('FILE_FORMAT', `The file ended at byte ${position + filled} while being read`)
    filled += bytesRead
  }
  return bytes
}

async function readHeader(handle: FileHandle): Promise<OpenFile> {
  const { size } = await handle.stat()
  const length = headerLength(await readBytes(handle, 0, Math.min(size, lengthBytes)), size)
  const start = lengthBytes + length
  const { tensors, metadata } = parseHeader(await readBytes(handle, lengthBytes, length), size - start)
  checkVersion(metadata)
  const model = modelFrom(metadata.model)
  const ofTraining = metadata.version === versions.training
  const starting = (prefix: string) => tensors.filter(({ name }) => ofTraining && name.startsWith(prefix))
  const [velocities, tables] = [starting(velocityPrefix), starting(tablePrefix)]
  const parameters = tensors.filter((entry) => !velocities.includes(entry) && !tables.includes(entry))
  const described = parametersOf(layersOfModel(model))
  checkEntries(parameters, described)
  if (ofTraining) checkEntries(velocities, described, velocityPrefix)
  const read = ({ begin, end }: Entry) => readBytes(handle, start + begin, end - begin)
  return { model, metadata, parameters, velocities, tables, read }
}

function checkVersion(metadata: Readonly<Record<string, string>>): void {
  if (metadata.format !== format) {
    const other = metadata.format === undefined ? 'no format' : `the format '${metadata.format}'`
    throw new VggError('FILE_FORMAT', `Expected a model of vggnet, but the metadata names ${other}`)
  }
  const { version } = metadata
  if (Object.values(versions).some((known) => known === version)) return
  const message = `Expected version 1 or 2 of the format but found ${version}; it needs another vggnet`
  if (Number(version) > 2) throw new NewerFormat('FILE_FORMAT', message)
  throw new VggError('FILE_FORMAT', message)
}
