/** Pickles and files of torch.save, put together opcode by opcode, whatever sense they make. */

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1')

const length4 = (length: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length)
  return bytes
}

const length8 = (length: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(length))
  return bytes
}

/** Opcodes of protocol 2. */
export const op = {
  protocol: Buffer.from([0x80, 2]),
  stop: ascii('.'),
  mark: ascii('('),
  list: ascii(']'),
  dictionary: ascii('}'),
  tuple: ascii('t'),
  call: ascii('R'),
  build: ascii('b'),
  append: ascii('a'),
  setItems: ascii('u'),
  persistent: ascii('Q'),
  name: (module: string, name: string): Buffer => ascii(`c${module}\n${name}\n`),
  text: (text: string): Buffer => Buffer.concat([ascii('X'), length4(text.length), ascii(text)]),
  integer: (value: number): Buffer => Buffer.concat([ascii('J'), length4(value >>> 0)]),
  store: (index: number): Buffer => Buffer.from([0x71, index]),
  recall: (index: number): Buffer => Buffer.from([0x68, index]),
}

const integers = (values: readonly number[]): Buffer =>
  Buffer.concat([op.mark, ...values.map((value) => op.integer(value)), op.tuple])

/** What a tensor of a pickle says; what is not given describes four elements of storage '0'. */
export interface PickledTensor {
  readonly key?: string
  readonly elements?: number
  readonly offset?: number
  readonly shape?: readonly number[]
  readonly strides?: readonly number[]
}

/** A tensor; `parts` is what torch.save adds to a storage in the older form. */
export function tensor(given: PickledTensor, parts: readonly Buffer[] = []): Buffer {
  const { key = '0', elements = 4, offset = 0, shape = [4], strides = [1] } = given
  const type = op.name('torch', 'FloatStorage')
  const id = [op.mark, op.text('storage'), type, op.text(key), op.text('cpu'), op.integer(elements), ...parts, op.tuple]
  const values = [op.mark, ...id, op.persistent, op.integer(offset), integers(shape), integers(strides)]
  return Buffer.concat([op.name('torch._utils', '_rebuild_tensor_v2'), ...values, op.tuple, op.call])
}

/** A dictionary of these values. */
export const dictionary = (values: Readonly<Record<string, Buffer>>): Buffer =>
  Buffer.concat([
    op.dictionary,
    op.mark,
    ...Object.entries(values).flatMap(([key, value]) => [op.text(key), value]),
    op.setItems,
  ])

const pickle = (...parts: readonly Buffer[]): Buffer => Buffer.concat([op.protocol, ...parts, op.stop])

/** The object of a file in the older form of torch.save, with these storages of float32 numbers by their keys. */
export function stream(object: Buffer, storages: Readonly<Record<string, readonly number[]>> = {}): Buffer {
  const magic = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex')
  const machine = dictionary({ little_endian: Buffer.from([0x88]) })
  const keys = Object.keys(storages).map((key) => op.text(key))
  const listed = [op.list, op.mark, ...keys, ascii('e')]
  const data = Object.values(storages).flatMap((values) => [
    length8(values.length),
    Buffer.from(Float32Array.from(values).buffer),
  ])
  const pickles = [pickle(magic), pickle(op.integer(1001)), pickle(machine), pickle(object), pickle(...listed)]
  return Buffer.concat([...pickles, ...data])
}

/** An entry of a zip archive, and what its headers say where that is not the truth. */
export interface ZipEntry {
  readonly name: string
  readonly data: Buffer
  /** 0: as it is; 8: deflated. */
  readonly method?: number
  readonly size?: number
  /** Byte at which its local header begins. */
  readonly begin?: number
}

/** A zip archive. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, data, method = 0, size = data.length, begin = at } of entries) {
    const shared = Buffer.alloc(26)
    shared.writeUInt16LE(20, 0)
    shared.writeUInt16LE(method, 4)
    shared.writeUInt32LE(method === 0 ? size : data.length, 14)
    shared.writeUInt32LE(size, 18)
    shared.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([ascii('PK\x03\x04'), shared, ascii(name), data])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(begin, 10)
    directory.push(Buffer.concat([ascii('PK\x01\x02'), Buffer.from([20, 0]), shared, rest, ascii(name)]))
    locals.push(local)
    at += local.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...locals, ...directory, end])
}

/** The zip form of torch.save. */
export const torchZip = (object: Buffer, others: readonly ZipEntry[]): Buffer =>
  zip([{ name: 'archive/data.pkl', data: pickle(object) }, ...others])
