import type { FileHandle } from 'node:fs/promises'
import { contentText, headBytes } from '../data/images/formats.js'
import { messageOf, VggError } from '../error.js'
import { systemCode } from '../files/atomic-file.js'
import { notFound } from '../files/not-found.js'
import { closeRead, NotAFile, openRegularFile, readSome } from '../files/regular-file.js'
import { type Parameter, parametersOf } from '../layer.js'
import { shorten } from '../options.js'
import { otherFormat } from '../platform/package.js'
import { shapeText } from '../tensor.js'
import { blockBytes, type Checksums, checksumsOf, Verification } from './checksum.js'
import { layersOfModel, type Model, modelFrom } from './model.js'
import { type Entry, headerFields, headerLength, lengthBytes, metadataOf, parseHeader } from './safetensors.js'

/** Value of `format` in the metadata of every file of vggnet. */
export const format = 'vggnet'

/**
 * Values of `version` in the metadata. '1' is a model: its parameters. '2' is a checkpoint of a training: also the
 * velocities as `velocity/` and the parameter's name, tables as `table/` and a name, and the state in the metadata.
 */
export const versions = { model: '1', training: '2' } as const

/** Prefix of a velocity's name, before the name of its parameter. */
export const velocityPrefix = 'velocity/'
/** Prefix of a table's name. */
export const tablePrefix = 'table/'

/** Limit in bytes of all tables together: a thousand epochs of a thousand classes take 600 MB. */
export const largestTables = 2 ** 30

/** Error for a file that is not one of vggnet. It may be one of another program. */
export class NotOurs extends VggError {}

/** Error for a file of a newer vggnet, which is complete but cannot be read. */
export class NewerFormat extends VggError {}

/** An open file of vggnet whose header was read and verified. */
export interface OpenFile {
  readonly model: Model
  readonly metadata: Readonly<Record<string, string>>
  /** All tensors, in the order of their bytes. */
  readonly tensors: readonly Entry[]
  /** The tensors that are parameters of the model. */
  readonly parameters: ReadonlySet<Entry>
  readonly checksums: Checksums
  /** Fills `bytes` from byte `begin` of the tensor data. @throws FILE_FORMAT */
  fill(bytes: Uint8Array, begin: number): Promise<void>
}

/**
 * Opens a file, and closes it after `use`.
 * @throws FILE_NOT_FOUND; FILE_FORMAT, prefixed by the path, also for errors of `use`
 */
export async function withFile<T>(path: string, use: (file: OpenFile) => Promise<T>): Promise<T> {
  const handle = await openedFile(path)
  try {
    return await use(await readHeader(handle))
  } catch (error) {
    throw named(error, path)
  } finally {
    await closeRead(handle)
  }
}

function named(error: unknown, path: string): unknown {
  if (!(error instanceof VggError) || error.code !== 'FILE_FORMAT') return error
  const Kind = [NewerFormat, NotOurs].find((known) => error instanceof known) ?? VggError
  return new Kind('FILE_FORMAT', `${path}: ${error.message}`, { cause: error })
}

/** Opens a file for reading. @throws FILE_NOT_FOUND; FILE_FORMAT for a folder, a pipe or a device */
export async function openedFile(path: string): Promise<FileHandle> {
  try {
    return await openRegularFile(path)
  } catch (cause) {
    if (cause instanceof NotAFile) {
      const cure = cause.isFolder ? ': give a model file, or the folder of a run, which has a run.json' : ''
      throw new VggError('FILE_FORMAT', `${path} is not a file${cure}`, { cause })
    }
    const missing = systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
    if (missing) throw notFound(`There is no file ${path}`, path, cause)
    throw new VggError('FILE_NOT_FOUND', `Could not open ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** Size of an open file in bytes. @throws FILE_FORMAT if it cannot be read */
export async function sizeOf(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat().catch((cause) => {
    throw new VggError('FILE_FORMAT', `Its size could not be read: ${messageOf(cause)}`, { cause })
  })
  return size
}

/** Fills `bytes` from a position in a file. @throws FILE_FORMAT if the file cannot be read or ends before */
export async function fill(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let filled = 0; filled < bytes.length; ) {
    const at = position + filled
    const some = await readSome(handle, bytes.subarray(filled), at).catch((cause) => {
      throw new VggError('FILE_FORMAT', `It could not be read at byte ${at}: ${messageOf(cause)}`, { cause })
    })
    if (some === 0) throw new VggError('FILE_FORMAT', `The file ended at byte ${at} while being read`)
    filled += some
  }
}

async function readHeader(handle: FileHandle): Promise<OpenFile> {
  const size = await sizeOf(handle)
  const beginning = new Uint8Array(Math.min(size, headBytes))
  await fill(handle, beginning, 0)
  checkContent(beginning)
  const json = new Uint8Array(headerLength(beginning.subarray(0, lengthBytes), size))
  await fill(handle, json, lengthBytes)
  const start = lengthBytes + json.length
  const header = headerFields(json)
  // before the tensors, which those of another program may be of other types
  checkFormat(metadataOf(header))
  const contents = parseHeader(header, size - start)
  const { tensors, metadata } = contents
  // before the version, which may itself be damaged
  const checksums = checksumsOf(contents)
  checkVersion(metadata)
  const model = modelFrom(metadata.model)
  const parameters = new Set(checkedParameters(tensors, metadata.version, model))
  return { model, metadata, tensors, parameters, checksums, fill: (bytes, begin) => fill(handle, bytes, start + begin) }
}

/** Refuses a file that its first bytes show to be something else. @throws FILE_FORMAT with what it is and what to do */
function checkContent(beginning: Uint8Array): void {
  // a header of JSON follows the length, which may begin like anything
  if (beginning[lengthBytes] === '{'.charCodeAt(0)) return
  const content = contentText(beginning) ?? 'of another kind'
  throw new NotOurs('FILE_FORMAT', `Expected a model of vggnet (safetensors) but it is ${content}`)
}

/** The tensors that are parameters, with all tensors checked against the model. @throws FILE_FORMAT */
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

/**
 * Checks that each parameter has its tensor, and that there are no other tensors.
 * @param prefix prefix of the tensors' names before the parameters' names
 * @throws FILE_FORMAT
 */
function checkEntries(entries: readonly Entry[], parameters: readonly Parameter[], prefix = ''): void {
  const found = new Map(entries.map((entry) => [entry.name, entry]))
  for (const { name: own, shape } of parameters) {
    const name = `${prefix}${own}`
    const entry = found.get(name)
    const expected = `Expected ${name} as F32 ${shapeText(shape)}`
    if (entry === undefined) throw new VggError('FILE_FORMAT', `${expected}, but it is missing`)
    if (entry.dtype !== 'F32' || shapeText(entry.shape) !== shapeText(shape)) {
      throw new VggError('FILE_FORMAT', `${expected} but found ${entry.dtype} ${shapeText(entry.shape)}`)
    }
    found.delete(name)
  }
  const [other] = found.keys()
  if (other !== undefined)
    throw new VggError('FILE_FORMAT', `Found ${other}, which is not a parameter of the described network`)
}

function checkTables(tables: readonly Entry[]): void {
  const other = tables.find(({ dtype }) => dtype !== 'I32')
  if (other !== undefined) throw new VggError('FILE_FORMAT', `Expected ${other.name} as I32 but found ${other.dtype}`)
  const bytes = tables.reduce((sum, { begin, end }) => sum + end - begin, 0)
  if (bytes <= largestTables) return
  throw new VggError('FILE_FORMAT', `Expected tables of at most ${largestTables} bytes but found ${bytes}`)
}

function checkFormat({ format: found, model }: Readonly<Record<string, string>>): void {
  if (found === format) return
  const other = found === undefined ? 'no format' : `the format '${shorten(found)}'`
  const message = `Expected a model of vggnet, but the metadata names ${other}`
  // no other program writes this
  if (model !== undefined) throw new VggError('FILE_FORMAT', `${message}: the file is damaged`)
  throw new NotOurs('FILE_FORMAT', `${message}: load reads the weights of other programs`)
}

function checkVersion({ version = 'none', vggnet }: Readonly<Record<string, string>>): void {
  if (Object.values(versions).some((known) => known === version)) return
  const known = 'version 1 or 2 of the format'
  if (Number(version) > 2) throw new NewerFormat('FILE_FORMAT', otherFormat(known, shorten(version), vggnet))
  throw new VggError('FILE_FORMAT', `Expected ${known} but found ${shorten(version)}`)
}

/**
 * Reads the tensors of a file once, in the order of their bytes, and verifies each while it is read. The caller calls one
 * of `read`, `verify` and `skip` for each tensor of the file, in order.
 */
export class TensorReader {
  readonly #file: OpenFile
  readonly #verification: Verification

  constructor(file: OpenFile) {
    this.#file = file
    this.#verification = new Verification(file.checksums)
  }

  /** Reads the bytes of the next tensor. @throws FILE_FORMAT if it is damaged, OUT_OF_MEMORY */
  async read(entry: Entry): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = allocated(entry)
    await this.#follow(entry.begin, bytes.length, (from, to) => bytes.subarray(from, to))
    this.#verification.finish(entry.name)
    return bytes
  }

  /**
   * Reads the bytes of the next tensor in parts of this length, each of which is valid until the one after the next is asked for.
   * @throws FILE_FORMAT after the last part if the tensor is damaged
   */
  async *parts({ name, begin, end }: Entry, length: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    // one is read while the caller uses the other
    const buffers = [0, 1].map(() => new Uint8Array(Math.min(length, end - begin)))
    for (let at = begin; at < end; at += length) {
      const buffer = buffers[((at - begin) / length) % 2] as Uint8Array<ArrayBuffer>
      const bytes = buffer.subarray(0, end - at)
      await this.#follow(at, bytes.length, (from, to) => bytes.subarray(from, to))
      yield bytes
    }
    this.#verification.finish(name)
  }

  /** Reads and verifies the next tensor without keeping it. @throws FILE_FORMAT if it is damaged */
  async verify({ name, begin, end }: Entry): Promise<void> {
    const largest = Math.min(blockBytes, end - begin)
    // one block is read while the other is verified
    const [even, odd] = [new Uint8Array(largest), new Uint8Array(largest)]
    await this.#follow(begin, end - begin, (from, to) =>
      ((from / blockBytes) % 2 === 0 ? even : odd).subarray(0, to - from),
    )
    this.#verification.finish(name)
  }

  /** Skips the next tensor; reads it only if later ones cannot be verified without it. @throws FILE_FORMAT */
  async skip(entry: Entry): Promise<void> {
    if (this.#file.checksums.covers === 'all tensors') await this.verify(entry)
    else this.#verification.skip()
  }

  /** Reads and verifies what follows, from byte `begin` on, into the blocks that `part` gives. */
  async #follow(begin: number, length: number, part: (from: number, to: number) => Uint8Array): Promise<void> {
    const filled = async (from: number): Promise<Uint8Array> => {
      const bytes = part(from, Math.min(length, from + blockBytes))
      await this.#file.fill(bytes, begin + from)
      return bytes
    }
    let next = filled(0)
    for (let from = 0; from < length; from += blockBytes) {
      const bytes = await next
      if (from + blockBytes < length) next = filled(from + blockBytes)
      this.#verification.add(bytes)
    }
  }
}

function allocated({ name, begin, end }: Entry): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(end - begin)
  } catch (cause) {
    throw new VggError('OUT_OF_MEMORY', `Expected memory for the ${end - begin} bytes of ${name} but there is none`, {
      cause,
    })
  }
}
