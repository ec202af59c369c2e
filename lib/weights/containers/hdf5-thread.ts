/**
 * The thread that reads one HDF5 file by the library h5wasm, which is C in WebAssembly. A damaged file may end its module or
 * let it run without end: the thread is ended then, and nothing else. `hdf5.ts` is the other side.
 */
import { createHash } from 'node:crypto'
import { openSync, readlinkSync, readSync, statSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../error.js'
import type { ForeignTensor } from './weight-file.js'

/** What the thread posts first. */
export interface Begun {
  /** Its folder in /proc, which has its processor time. */
  readonly folder: string
}

/** What the thread is asked: the index of the file, elements of it, or its SHA-256 in hex, once, after all others. */
export type Asked = { readonly about: 'index' | 'digest' } | Elements

/** A question to the thread, with the port for its `Answer`. */
export type Question = { readonly port: MessagePort } & Asked

/** What the thread is begun with. */
export interface Given {
  readonly path: string
  /** Memory of both sides, for elements: what is passed to another thread remains until its garbage is collected. */
  readonly shared: SharedArrayBuffer
}

/** Asks to put `count` elements of a dataset, little-endian, in row-major order from the element `begin` on, into `shared`. */
export interface Elements {
  readonly about: 'elements'
  readonly name: string
  readonly begin: number
  readonly count: number
}

/** The answer about the index of the file. */
export interface Index {
  readonly tensors: readonly ForeignTensor[]
  readonly metadata: Readonly<Record<string, string>>
}

/** An answer. `missing`: h5wasm is not installed. `problem`: what is wrong with the file; the thread is of no use after it. */
export type Answer<T> = { readonly value: T } | { readonly missing: string } | { readonly problem: string }

type Library = typeof import('h5wasm/node')
type Module = Library['Module']
type Description = ReturnType<Module['get_dataset_metadata']>

/** Limit of the number of groups and datasets; Keras writes 80 of VGG-19. */
const mostNames = 10_000
/** Number of characters of the library's error output that are kept. */
const mostDiagnostics = 10_000
/** Limit of a text of metadata in characters. */
const longestText = 1000
/**
 * How many times larger than the file its compressed datasets may be. Trained weights are noise and hardly smaller when they
 * are compressed; with half of them 0 they are less than 3 times smaller.
 */
const largestRatio = 16
/** Bytes of WebAssembly memory for the library itself, beside a chunk of the file and its compressed bytes. */
const ownMemory = 2 ** 27

const { path, shared } = workerData as Given
const { size } = statSync(path)
/** What the library has written to its error output. */
let diagnostics = ''

/** Largest number of bytes that are read for the hash alone, where the library passes over them. */
const largestGap = 2 ** 20

/** The hash of the file from its begin on, of the bytes that the library reads, so that few are read for it alone. */
class FileHash {
  readonly #hash = createHash('sha256')
  readonly #file = openSync(path, 'r')
  #hashed = 0

  /** Hashes what follows the hashed bytes. Tables that the library reads once at the begin of its work lie in between. */
  add(bytes: Uint8Array, begin: number): void {
    if (begin > this.#hashed && begin - this.#hashed <= largestGap) this.#readTo(begin)
    const end = begin + bytes.length
    if (begin > this.#hashed || end <= this.#hashed) return
    this.#hash.update(bytes.subarray(this.#hashed - begin))
    this.#hashed = end
  }

  digest(): string {
    this.#readTo(size)
    return this.#hash.digest('hex')
  }

  #readTo(end: number): void {
    const block = new Uint8Array(Math.min(largestGap, end - this.#hashed))
    while (this.#hashed < end) {
      const read = readSync(this.#file, block, 0, Math.min(block.length, end - this.#hashed), this.#hashed)
      if (read === 0) throw new Error(`the file ended at byte ${this.#hashed}`)
      this.#hash.update(block.subarray(0, read))
      this.#hashed += read
    }
  }
}

const hash = new FileHash()

interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

// The library's memory is the only one that a file can make large.
const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: Memory } } }).WebAssembly.Memory
const { grow } = prototype
prototype.grow = function (pages) {
  const limit = ownMemory + 2 * size
  if (this.buffer.byteLength + pages * 2 ** 16 > limit) throw new RangeError(`Expected at most ${limit} bytes`)
  return grow.call(this, pages)
}

/**
 * Lets the library open no file but this one: not those that links, virtual datasets and external storage name, nor plug-ins
 * of filters. What it reads is hashed. Its error output is kept for messages.
 */
function guard({ FS }: Module): void {
  const files = FS as unknown as Record<'open' | 'read' | 'write', (...values: unknown[]) => unknown>
  const { open, read, write } = files
  files.open = (...values) => {
    if (values[0] !== path) throw Object.assign(new Error(), { name: 'ErrnoError', errno: 2 })
    return open(...values)
  }
  files.read = (...values) => {
    const [stream, memory, begin, , position] = values as [{ position: number }, Int8Array, number, number, number?]
    const from = position ?? stream.position
    const count = read(...values) as number
    hash.add(Buffer.from(memory.buffer, memory.byteOffset + begin, count), from)
    return count
  }
  files.write = (...values) => {
    const [stream, memory, begin, length] = values as [{ fd: number }, Int8Array, number, number]
    if (stream.fd !== 2) return write(...values)
    diagnostics = (diagnostics + Buffer.from(memory.subarray(begin, begin + length)).toString()).slice(-mostDiagnostics)
    return length
  }
}

/** The reason that the library wrote for its last problem: the last of its lines is the cause of those before. */
const reason = (): string | undefined => [...diagnostics.matchAll(/ in \w+\(\): (.*)/g)].at(-1)?.[1]

/** Returns the value of a call of the library. @throws Error with its reason if it reported a problem */
function checked<T>(value: T): T {
  if (diagnostics === '' && !(Number(value) < 0)) return value
  throw new Error(reason() ?? 'the library gave no reason')
}

class OpenFile {
  readonly #library: Library
  readonly #module: Module
  readonly #id: bigint
  readonly #descriptions = new Map<string, Description>()

  constructor(library: Library) {
    this.#library = library
    this.#module = library.Module
    this.#id = checked(new library.File(path, 'r').file_id)
  }

  index(): Index {
    const names = checked(this.#module.get_names(this.#id, '/', true))
    if (names.length > mostNames) throw new Error(`it has ${names.length} groups and datasets, more than ${mostNames}`)
    for (const name of names) if (this.#isDataset(name)) this.#descriptions.set(name, this.#described(name))
    this.#checkSize()
    const tensors = [...this.#descriptions].map(([name, description]) => {
      return { name, shape: description.shape ?? [0], type: this.#typeOf(name, description) }
    })
    const texts = ['/', ...names.filter((name) => name === 'vars')].flatMap((name) => this.#texts(name))
    return { tensors, metadata: Object.fromEntries(texts) }
  }

  elements({ name, begin, count }: Elements): void {
    const description = this.#descriptions.get(name)
    if (description === undefined) throw new Error(`it has no dataset ${name}`)
    const { size: each, shape } = description
    const bytes = new Uint8Array(shared, 0, count * each)
    const pointer = this.#module._malloc(bytes.length)
    if (pointer === 0) throw new Error(`the library has no memory for ${bytes.length} bytes`)
    for (let done = 0; done < count; ) {
      const { length, counts, offsets } = firstBlock(shape ?? [], begin + done, count - done)
      const ones = counts.map(() => 1n)
      // one value without axes is read as a whole
      const [rows, offset, step] = counts.length === 0 ? [null, null, null] : [counts, offsets, ones]
      checked(this.#module.get_dataset_data(this.#id, name, rows, offset, step, BigInt(pointer)))
      bytes.set(this.#module.HEAPU8.subarray(pointer, pointer + length * each), done * each)
      done += length
    }
    this.#module._free(pointer)
  }

  /** Whether a name is a dataset of this file; links to others, or by another name, are not followed. */
  #isDataset(name: string): boolean {
    const module = this.#module
    if (checked(module.get_symbolic_link(this.#id, name)) !== null) return false
    if ('filename' in checked(module.get_external_link(this.#id, name))) return false
    return checked(module.get_type(this.#id, name)) === module.H5G_DATASET
  }

  #described(name: string): Description {
    const description = checked(this.#module.get_dataset_metadata(this.#id, name))
    if (description.virtual_sources !== undefined) throw new Error(`its dataset ${name} lies in other files`)
    for (const side of description.shape ?? [])
      if (!Number.isSafeInteger(side) || side < 0) throw new Error(`its dataset ${name} has a dimension of ${side}`)
    return description
  }

  /** Refuses sizes that the file cannot have. */
  #checkSize(): void {
    let [plain, compressed] = [0, 0]
    for (const [name, { shape, chunks, size: each }] of this.#descriptions) {
      const bytes = (shape ?? [0]).reduce((product, side) => product * side, each)
      if (chunks !== null && checked(this.#module.get_dataset_filters(this.#id, name)).length > 0) compressed += bytes
      else plain += bytes
    }
    if (plain > size) throw new Error(`its datasets have ${plain} bytes, but it has ${size}`)
    if (compressed > largestRatio * size)
      throw new Error(`its compressed datasets have ${compressed} bytes, more than ${largestRatio} times its ${size}`)
  }

  #typeOf(name: string, { type, size: each }: Description): string {
    const { H5T_FLOAT, H5T_INTEGER, H5T_OPAQUE } = this.#module.H5T_class_t
    if (type === H5T_FLOAT.value) return `F${8 * each}`
    if (type === H5T_INTEGER.value) return `I${8 * each}`
    // Keras's way to write bfloat16
    const isBfloat16 =
      type === H5T_OPAQUE.value && each === 2 && this.#texts(name).some(([, text]) => text === 'bfloat16')
    return isBfloat16 ? 'BF16' : `HDF5 class ${type}`
  }

  /** The short texts among the attributes of an object. */
  #texts(name: string): [name: string, text: string][] {
    const object = new this.#library.Group(this.#id, name)
    return checked(this.#module.get_attribute_names(this.#id, name)).flatMap((attribute) => {
      const { type, size: each, total_size } = checked(this.#module.get_attribute_metadata(this.#id, name, attribute))
      if (type !== this.#module.H5T_class_t.H5T_STRING.value || total_size !== 1 || each > longestText) return []
      const text = checked([object.get_attribute(attribute, true)]).flat()[0]
      return typeof text === 'string' && text.length <= longestText ? [[attribute, text] as const] : []
    })
  }
}

/**
 * The largest block of a dataset, one that the library reads in one call, which begins at the element `begin` in row-major
 * order, and has at most `most` elements that follow each other.
 */
function firstBlock(shape: readonly number[], begin: number, most: number) {
  const counts: number[] = []
  const offsets: number[] = []
  let [left, inner] = [begin, shape.reduce((product, side) => product * side, 1)]
  let isOpen = true
  for (const side of shape) {
    inner /= side
    const offset = Math.floor(left / inner)
    left -= offset * inner
    offsets.push(offset)
    // the first axis of which whole rows fit, if the block begins with one
    const rows = isOpen && left === 0 ? Math.min(side - offset, Math.floor(most / inner)) : 0
    if (rows > 0) isOpen = false
    counts.push(isOpen ? 1 : rows > 0 ? rows : side)
  }
  const length = counts.reduce((product, count) => product * count, 1)
  return { length, counts: counts.map(BigInt), offsets: offsets.map(BigInt) }
}

async function open(): Promise<OpenFile> {
  const library = await import('h5wasm/node')
  await library.ready
  guard(library.Module)
  return new OpenFile(library)
}

function answerOf(file: OpenFile, question: Question): unknown {
  if (question.about === 'elements') return file.elements(question)
  return question.about === 'index' ? file.index() : hash.digest()
}

const opened = open()
// reported as the answer to the first question
opened.catch(() => undefined)
parentPort?.on('message', async (question: Question) => {
  const { port } = question
  try {
    const file = await opened
    port.postMessage({ value: answerOf(file, question) })
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    port.postMessage(isMissing ? { missing: messageOf(error) } : { problem: reason() ?? messageOf(error) })
  }
})
parentPort?.postMessage({ folder: `/proc/${readlinkSync('/proc/thread-self')}` } satisfies Begun)
