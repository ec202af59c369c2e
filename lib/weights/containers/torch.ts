import { zipOf } from '../../data/images/formats.js'
import { ByteFile } from './byte-file.js'
import { firstFloat, floatBytes, floatType, readFloats } from './floats.js'
import { malformed } from './pickle.js'
import { isTorchStream, readTorchStream } from './torch-stream.js'
import { isTorchTar, readTorchTar } from './torch-tar.js'
import { dictionaryOf, type Storage, type TorchContents, type TorchTensor } from './torch-values.js'
import { readTorchZip } from './torch-zip.js'
import type { ForeignTensor, WeightFile } from './weight-file.js'

/** A tensor and where its elements lie in the file. */
interface LocatedTensor extends ForeignTensor {
  readonly torch: TorchTensor
  /** Byte of the file at which its first element begins. */
  readonly begin: number
}

/** The forms of torch.save: since PyTorch 1.6, before, and in its first versions. */
const forms: readonly {
  /** Whether a file begins so; `head` are its first bytes as Latin-1 text. */
  recognise(head: string): boolean
  read(file: ByteFile): Promise<TorchContents>
}[] = [
  // any zip archive but that of NumPy: the order of its entries is not fixed
  { recognise: (head) => head.startsWith('PK\x03\x04') && !zipOf('.npy')(head), read: readTorchZip },
  { recognise: isTorchStream, read: readTorchStream },
  { recognise: isTorchTar, read: readTorchTar },
]

const formOf = (head: string) => forms.find(({ recognise }) => recognise(head))

/** Whether a file is one of torch.save, by its first 1000 bytes as Latin-1 text. */
export const isTorch = (head: string): boolean => formOf(head) !== undefined

/** Opens a file that `isTorch` recognises. @throws FILE_FORMAT */
export const openTorch = (path: string): Promise<WeightFile> => ByteFile.read(path, readIndex)

async function readIndex(file: ByteFile): Promise<WeightFile> {
  const found = formOf((await file.head()).toString('latin1'))
  if (found === undefined) throw malformed('it begins in another way')
  const { form, root, begins } = await found.read(file)
  const { key, tensors } = dictionaryOf(root)
  const located = [...tensors].map(([name, torch]) => locatedTensor(name, torch, begins))
  located.sort((a, b) => a.begin - b.begin)
  const byName = new Map(located.map((tensor) => [tensor.name, tensor]))
  const locate = ({ name }: ForeignTensor): LocatedTensor => byName.get(name) as LocatedTensor
  const values = new TensorValues(file)
  return {
    container: 'torch',
    tensors: located,
    layers: [],
    metadata: key === undefined ? { form } : { form, dictionary: key },
    read: (tensor, into, begin) => values.read(locate(tensor), into, begin),
    first: (tensor) => {
      const { name, type, begin } = locate(tensor)
      return firstFloat(file, { type: floatType(name, type), begin })
    },
    digest: () => file.digest(),
    close: () => file.close(),
  }
}

function locatedTensor(name: string, torch: TorchTensor, begins: ReadonlyMap<Storage, number>): LocatedTensor {
  const { storage, offset, shape } = torch
  const begin = (begins.get(storage) ?? 0) + offset * storage.elementBytes
  return { name, shape, type: storage.type, torch, begin }
}

/** Whether the elements lie in the file one after another in row-major order. */
function isContiguous({ shape, strides }: TorchTensor): boolean {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] ?? 1
    if (length !== 1 && strides[axis] !== expected) return false
    expected *= length
  }
  return true
}

/** Reads tensors. Those that are not contiguous are kept as a whole while they are read. */
class TensorValues {
  readonly #file: ByteFile
  #kept: { readonly tensor: LocatedTensor; readonly values: Float32Array } | undefined

  constructor(file: ByteFile) {
    this.#file = file
  }

  async read(tensor: LocatedTensor, into: Float32Array, begin: number): Promise<void> {
    const type = floatType(tensor.name, tensor.type)
    if (isContiguous(tensor.torch)) {
      this.#kept = undefined
      const at = tensor.begin + begin * floatBytes[type]
      await this.#file.hashTo(at)
      return readFloats(this.#file, type, at, into)
    }
    const { values } = this.#kept?.tensor === tensor ? this.#kept : await this.#keep(tensor)
    gather(values, tensor.torch, into, begin)
  }

  /** Reads the part of the storage from the tensor's first to its last element. */
  async #keep(tensor: LocatedTensor): Promise<{ values: Float32Array }> {
    const { shape, strides } = tensor.torch
    const length = shape.reduce((sum, axisLength, axis) => sum + (axisLength - 1) * (strides[axis] ?? 0), 1)
    const values = new Float32Array(length)
    await this.#file.hashTo(tensor.begin)
    await readFloats(this.#file, floatType(tensor.name, tensor.type), tensor.begin, values)
    this.#kept = { tensor, values }
    return this.#kept
  }
}

/** Fills `into` with elements in row-major order, from the element `begin` on. */
function gather(values: Float32Array, { shape, strides }: TorchTensor, into: Float32Array, begin: number): void {
  const index = shape.map(() => 0)
  let rest = begin
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] ?? 1
    index[axis] = rest % length
    rest = Math.floor(rest / length)
  }
  let at = index.reduce((sum, position, axis) => sum + position * (strides[axis] ?? 0), 0)
  for (let i = 0; i < into.length; i++) {
    into[i] = values[at] ?? 0
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [stride, next] = [strides[axis] ?? 0, (index[axis] ?? 0) + 1]
      at += stride
      index[axis] = next
      if (next < (shape[axis] ?? 1)) break
      at -= stride * next
      index[axis] = 0
    }
  }
}
