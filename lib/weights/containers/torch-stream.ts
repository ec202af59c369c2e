import type { ByteFile } from './byte-file.js'
import { malformed } from './pickle.js'
import { PickleStream } from './pickle-stream.js'
import { type Storage, type TorchContents, TorchValues } from './torch-values.js'

/** The first pickle, and the second. */
const [magic, version] = [0x1950a86a20f9469cfc6cn, 1001]

/** Whether a file begins with the magic number, which a protocol and the length of a frame may precede. */
export const isTorchStream = (head: string): boolean =>
  (head[0] === '\x80' && head.slice(2, 22).includes('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20')) ||
  head.startsWith(`L${magic}L\n`)

/**
 * Reads the form of torch.save before version 1.6: pickles of a magic number, a version, a description of the machine, the
 * object and the keys of its storages, followed by the storages in the order of their keys.
 */
export async function readTorchStream(file: ByteFile): Promise<TorchContents> {
  const values = new TorchValues()
  const stream = new PickleStream(file, 0, file.size)
  const [found, foundVersion] = [await stream.pickle(values.rules), await stream.pickle(values.rules)]
  if (found !== magic || foundVersion !== version) throw malformed('it begins with another number or version')
  const machine = await stream.pickle(values.rules)
  if (!(machine instanceof Map) || machine.get('little_endian') !== true) {
    throw malformed('its numbers are not little-endian, and only little-endian ones are read')
  }
  const root = await stream.pickle(values.rules)
  const keys = await stream.pickle(values.rules)
  if (!Array.isArray(keys)) throw malformed('it has no list of its storages')
  const begins = new Map<Storage, number>()
  for (const key of keys) {
    const storage = values.storages.get(key)
    if (storage === undefined || begins.has(storage))
      throw malformed('it lists a storage that no tensor has, or one twice')
    begins.set(storage, await skipStorage(stream, storage))
  }
  const lost = [...values.storages.values()].find((storage) => !begins.has(storage))
  if (lost !== undefined) throw malformed(`it does not have the storage '${lost.key}'`)
  return { form: 'stream', root, begins }
}

/** Passes over the number of elements and the elements of a storage; the byte at which these begin. */
async function skipStorage(stream: PickleStream, { key, elements, elementBytes }: Storage): Promise<number> {
  const [count = 0] = await stream.lengths(1)
  if (count !== elements)
    throw malformed(`the storage '${key}' has ${count} elements, and its tensors expect ${elements}`)
  const begin = stream.at
  stream.skip(elements * elementBytes)
  return begin
}
