import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl'
import { messageOf, VggError } from '../../error.js'
import type { ByteFile } from './byte-file.js'
import { malformed, readPickle } from './pickle.js'
import { type Storage, type TorchContents, TorchValues } from './torch-values.js'

/** Most entries of an archive, which has one for each storage. Each one is read from the file. */
const mostEntries = 2 ** 13
/** Most bytes of data.pkl, which is read as a whole. That of VGG-16 has 3 kB. */
const mostPickleBytes = 2 ** 24
/** Compression method of an entry that is not compressed. */
const stored = 0

/** Where the content of an entry lies in the file. */
interface Range {
  readonly name: string
  readonly begin: number
  readonly end: number
}

class FileReader extends RandomAccessReader {
  readonly #file: ByteFile

  constructor(file: ByteFile) {
    super()
    this.#file = file
  }

  override read(
    into: Buffer,
    offset: number,
    length: number,
    begin: number,
    done: (error: Error | null) => void,
  ): void {
    this.#file.fill(into.subarray(offset, offset + length), begin).then(() => done(null), done)
  }
}

/** Reads the zip archive of torch.save: data.pkl, and for each storage an entry, which is not compressed. */
export async function readTorchZip(file: ByteFile): Promise<TorchContents> {
  try {
    const options = { autoClose: false, strictFileNames: true }
    const zip = await fromRandomAccessReaderPromise(new FileReader(file), file.size, options)
    return await readArchive(file, zip, await entriesOf(zip))
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    throw malformed(
      `the zip archive is damaged (${messageOf(cause)}); is it truncated? Copy or download it again`,
      cause,
    )
  }
}

async function entriesOf(zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>()
  for await (const entry of zip.eachEntry()) {
    if (entries.has(entry.fileName)) throw malformed(`two entries of the zip archive are called '${entry.fileName}'`)
    if (entries.size === mostEntries) throw malformed(`the zip archive has more than ${mostEntries} entries`)
    entries.set(entry.fileName, entry)
  }
  return entries
}

async function readArchive(file: ByteFile, zip: ZipFile, entries: ReadonlyMap<string, Entry>): Promise<TorchContents> {
  const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickle === undefined) throw withoutPickle(entries)
  const folder = pickle.slice(0, pickle.indexOf('/') + 1)
  const rangeOf = (name: string): Promise<Range> => rangeIn(file, zip, entries.get(`${folder}${name}`), name)

  if (entries.has(`${folder}byteorder`)) {
    const order = await contentOf(file, await rangeOf('byteorder'))
    if (order.toString() !== 'little')
      throw malformed(`its numbers are ${order}-endian; only little-endian ones are read`)
  }
  const ranges = [await rangeOf('data.pkl')]
  const values = new TorchValues()
  const { value: root } = readPickle(await contentOf(file, ranges[0] as Range), 0, values.rules)
  const begins = new Map<Storage, number>()
  for (const storage of values.storages.values()) {
    const range = await rangeOf(`data/${storage.key}`)
    const bytes = storage.elements * storage.elementBytes
    if (range.end - range.begin !== bytes) {
      throw malformed(`data/${storage.key} has ${range.end - range.begin} bytes, and its storage takes ${bytes}`)
    }
    ranges.push(range)
    begins.set(storage, range.begin)
  }
  checkApart(ranges)
  return { form: 'zip', root, begins }
}

function withoutPickle(entries: ReadonlyMap<string, Entry>): VggError {
  const cure = entries.has('model.weights.h5')
    ? "a Keras archive: 'unzip FILE model.weights.h5' gives the file of its weights"
    : "a zip archive without PyTorch's data.pkl: unpack it first with 'unzip'"
  return new VggError('FILE_FORMAT', `Expected weights, but it is ${cure}`)
}

async function rangeIn(file: ByteFile, zip: ZipFile, entry: Entry | undefined, name: string): Promise<Range> {
  if (entry === undefined) throw malformed(`the zip archive has no ${name}`)
  if (entry.compressionMethod !== stored || entry.isEncrypted()) {
    throw malformed(`${name} is compressed or encrypted, which torch.save does not do: save it again with torch.save`)
  }
  const { fileDataStart: begin } = await zip.readLocalFileHeaderPromise(entry, { minimal: true })
  const end = begin + entry.uncompressedSize
  if (end > file.size)
    throw malformed(`${name} ends at byte ${end} of ${file.size}; is it truncated? Copy or download it again`)
  return { name, begin, end }
}

async function contentOf(file: ByteFile, { name, begin, end }: Range): Promise<Buffer> {
  if (end - begin > mostPickleBytes)
    throw malformed(`${name} has ${end - begin} bytes; at most ${mostPickleBytes} are read`)
  const bytes = Buffer.alloc(end - begin)
  await file.fill(bytes, begin)
  return bytes
}

function checkApart(ranges: readonly Range[]): void {
  const ordered = [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)
  ordered.forEach(({ name, begin }, index) => {
    const before = ordered[index - 1]
    if (before !== undefined && begin < before.end)
      throw malformed(`${name} overlaps ${before.name} in the zip archive`)
  })
}
