import type { ByteFile } from './byte-file.js'
import { malformed } from './pickle.js'
import { PickleStream } from './pickle-stream.js'
import {
  mostAxes,
  partOf,
  rebuiltTensor,
  type Storage,
  StorageView,
  type TorchContents,
  type TorchTensor,
  TorchValues,
} from './torch-values.js'

/** The files of the archive. */
const names: readonly string[] = ['storages', 'tensors', 'pickle']

/** Whether a file begins as this form; `head` are its first bytes as Latin-1 text. */
export const isTorchTar = (head: string): boolean =>
  head.startsWith('ustar', 257) && names.includes(head.slice(0, head.indexOf('\0')))

/** Length in bytes of the header of a file, to a multiple of which its content is filled up. */
const block = 512
/** Most storages, and most tensors, of a file. */
const mostEntries = 2 ** 16

/**
 * Reads the form of the first versions of PyTorch: a tar archive of the storages, each after its description; of the tensors'
 * shapes and strides; and of the pickle of the object, which refers to the tensors.
 */
export async function readTorchTar(file: ByteFile): Promise<TorchContents> {
  const streams = await streamsOf(file)
  const [storages, tensors, object] = names.map((name) => streams.get(name))
  if (storages === undefined || tensors === undefined || object === undefined)
    throw malformed(
      `the tar archive does not have the files ${names.join(', ')}; is it truncated? Copy or download it again`,
    )
  const values = new TorchValues()
  const begins = new Map<Storage, number>()
  const views = await readStorages(storages, values, begins)
  const byKey = await readTensors(tensors, values, views)
  const persistent = (id: unknown): TorchTensor => {
    const tensor = byKey.get(keyOf(id))
    if (tensor === undefined) throw malformed('its pickle refers to a tensor that it does not have')
    return tensor
  }
  return { form: 'tar', root: await object.pickle({ ...values.rules, persistent }), begins }
}

/** The files of the archive by their names. */
async function streamsOf(file: ByteFile): Promise<Map<string, PickleStream>> {
  const streams = new Map<string, PickleStream>()
  for (let at = 0; at + block <= file.size && streams.size < names.length; ) {
    const header = Buffer.alloc(block)
    await file.fill(header, at)
    const textOf = (begin: number, end: number): string =>
      header.toString('latin1', begin, end).replace(/\0.*$/s, '').trim()
    const [name, size] = [textOf(0, 100), textOf(124, 136)]
    if (!/^[0-7]+$/.test(size)) break
    const [begin, length] = [at + block, Number.parseInt(size, 8)]
    if (begin + length > file.size)
      throw malformed(`'${name}' ends after the file; is it truncated? Copy or download it again`)
    if (!names.includes(name)) break
    streams.set(name, new PickleStream(file, begin, begin + length))
    at = begin + Math.ceil(length / block) * block
  }
  return streams
}

/** A key in a pickle, which is a number or its digits. */
const keyOf = (key: unknown): string => {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint') return String(key)
  throw malformed('its pickle has a key that is no number')
}

async function readCount(stream: PickleStream, values: TorchValues): Promise<number> {
  const count = await stream.pickle(values.rules)
  if (typeof count === 'number' && count >= 0 && count <= mostEntries) return count
  throw malformed(`it does not have 0 to ${mostEntries} storages and tensors`)
}

const listOf = (value: unknown): readonly unknown[] => {
  if (Array.isArray(value)) return value
  throw malformed('its pickle has something else where a list is expected')
}

/** The storages, and parts of them, by their keys. */
async function readStorages(stream: PickleStream, values: TorchValues, begins: Map<Storage, number>) {
  const views = new Map<string, StorageView>()
  const count = await readCount(stream, values)
  for (let index = 0; index < count; index++) {
    const [key, , type] = listOf(await stream.pickle(values.rules))
    const [elements = 0] = await stream.lengths(1)
    const storage = values.add(keyOf(key), type, elements)
    begins.set(storage, stream.at)
    stream.skip(elements * storage.elementBytes)
    views.set(storage.key, new StorageView(storage, 0, elements))
  }
  for (const part of listOf(await stream.pickle(values.rules))) {
    const [key, root, begin, elements] = listOf(part)
    const whole = views.get(keyOf(root))
    if (whole === undefined) throw malformed('it has a part of a storage that it does not have')
    views.set(keyOf(key), partOf(whole.storage, begin, elements))
  }
  return views
}

/** The tensors by their keys. */
async function readTensors(stream: PickleStream, values: TorchValues, views: ReadonlyMap<string, StorageView>) {
  const tensors = new Map<string, TorchTensor>()
  const count = await readCount(stream, values)
  for (let index = 0; index < count; index++) {
    const [key, storage] = listOf(await stream.pickle(values.rules))
    // a number of 4 bytes, and 4 bytes that were never set
    const axes = (await stream.raw(8)).readUInt32LE()
    if (axes > mostAxes) throw malformed(`a tensor has ${axes} axes`)
    const lengths = await stream.lengths(2 * axes + 1)
    const tensor = rebuiltTensor([
      views.get(keyOf(storage)),
      lengths[2 * axes],
      lengths.slice(0, axes),
      lengths.slice(axes, 2 * axes),
    ])
    tensors.set(keyOf(key), tensor)
  }
  return tensors
}
