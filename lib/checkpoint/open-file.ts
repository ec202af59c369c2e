import { type FileHandle, open, stat } from 'node:fs/promises'
import { messageOf, VggError } from '../error.js'
import { systemCode } from '../files/atomic-file.js'
import { parametersOf } from '../layer.js'
import { type Checksums, checksumsOf } from './checksum.js'
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

/** Of all tables together: a thousand epochs of a thousand classes take 600 MB. */
const largestTables = 2 ** 30

/** A file of a newer vggnet: it is whole, and yet cannot be read. */
export class NewerFormat extends VggError {}

/** A file of vggnet whose header was read and is right. */
export interface OpenFile {
  readonly model: Model
  readonly metadata: Readonly<Record<string, string>>
  /** All, in the order of their bytes. */
  readonly tensors: readonly Entry[]
  readonly parameters: ReadonlySet<Entry>
  readonly checksums: Checksums
  /** Fills `bytes`, which begin at byte `begin` of the tensors. @throws FILE_FORMAT */
  fill(bytes: Uint8Array, begin: number): Promise<void>
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

async function fill(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let filled = 0; filled < bytes.length; ) {
    const at = position + filled
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, at).catch((cause) => {
      throw new VggError('FILE_FORMAT', `It could not be read at byte ${at}: ${messageOf(cause)}`, { cause })
    })
    if (bytesRead === 0) throw new VggError('FILE_FORMAT', `The file ended at byte ${at} while being read`)
    filled += bytesRead
  }
}

async function readHeader(handle: FileHandle): Promise<OpenFile> {
  const { size } = await handle.stat()
  const beginning = new Uint8Array(Math.min(size, lengthBytes))
  await fill(handle, beginning, 0)
  const json = new Uint8Array(headerLength(beginning, size))
  await fill(handle, json, lengthBytes)
  const start = lengthBytes + json.length
  const contents = parseHeader(json, size - start)
  const { tensors, metadata } = contents
  checkFormat(metadata)
  // before the version, whose digit may be what is damaged
  const checksums = checksumsOf(contents)
  checkVersion(metadata)
  const model = modelFrom(metadata.model)
  const parameters = new Set(checkedParameters(tensors, metadata.version, model))
  return { model, metadata, tensors, parameters, checksums, fill: (bytes, begin) => fill(handle, bytes, start + begin) }
}

/** The tensors that are parameters, once all are known to be those that the model needs. @throws FILE_FORMAT */
function checkedParameters(tensors: readonly Entry[], version: string | undefined, model: Model): readonly Entry[] {
  const described = parametersOf(layersOfModel(model))
  if (version !== versions.training) {
    checkEntries(tensors, described)
    return tensors
  }
  const [velocities, tables, parameters]: [Entry[], Entry[], Entry[]] = [[], [], []]
  for (const entry of tensors) {
    if (entry.name.startsWith(velocityPrefix)) velocities.push(entry)
    else if (entry.name.startsWith(tablePrefix)) tables.push(entry)
    else parameters.push(entry)
  }
  checkEntries(parameters, described)
  checkEntries(velocities, described, velocityPrefix)
  checkTables(tables)
  return parameters
}

function checkTables(tables: readonly Entry[]): void {
  const other = tables.find(({ dtype }) => dtype !== 'I32')
  if (other !== undefined) throw new VggError('FILE_FORMAT', `Expected ${other.name} as I32 but found ${other.dtype}`)
  const bytes = tables.reduce((sum, { begin, end }) => sum + end - begin, 0)
  if (bytes <= largestTables) return
  throw new VggError('FILE_FORMAT', `Expected tables of at most ${largestTables} bytes but found ${bytes}`)
}

function checkFormat({ format: found }: Readonly<Record<string, string>>): void {
  if (found === format) return
  const other = found === undefined ? 'no format' : `the format '${found}'`
  throw new VggError('FILE_FORMAT', `Expected a model of vggnet, but the metadata names ${other}`)
}

function checkVersion({ version }: Readonly<Record<string, string>>): void {
  if (Object.values(versions).some((known) => known === version)) return
  const message = `Expected version 1 or 2 of the format but found ${version}; it needs another vggnet`
  if (Number(version) > 2) throw new NewerFormat('FILE_FORMAT', message)
  throw new VggError('FILE_FORMAT', message)
}
