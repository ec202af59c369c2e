import { VggError } from '../../error.js'
import { shorten } from '../../options.js'
import { elementCount, shapeText } from '../../tensor.js'
import { floatBytes } from './floats.js'
import { malformed, PickleFunction, type PickleRules } from './pickle.js'

/** Element type of a storage: a class of PyTorch. */
class StorageType {
  readonly type: string
  /** Size of an element in bytes. */
  readonly bytes: number

  constructor(type: string, bytes: number) {
    this.type = type
    this.bytes = bytes
  }
}

/** The numbers of one or several tensors, which lie in the file one after another. */
export interface Storage {
  /** Its name in the file. */
  readonly key: string
  readonly type: string
  readonly elementBytes: number
  readonly elements: number
}

/** What a file of torch.save contains. */
export interface TorchContents {
  readonly form: 'zip' | 'stream' | 'tar'
  /** The object that was saved. */
  readonly root: unknown
  /** Byte of the file at which each storage begins. */
  readonly begins: ReadonlyMap<Storage, number>
}

/** All or a part of a storage. */
export class StorageView {
  readonly storage: Storage
  readonly begin: number
  readonly elements: number

  constructor(storage: Storage, begin: number, elements: number) {
    this.storage = storage
    this.begin = begin
    this.elements = elements
  }
}

/** A tensor: where in its storage each element is. All of them are inside of the storage. */
export class TorchTensor {
  readonly storage: Storage
  /** Index of the first element in the storage. */
  readonly offset: number
  readonly shape: readonly number[]
  /** Elements from one index of an axis to the next. */
  readonly strides: readonly number[]

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }
}

const storageTypes: readonly (readonly [name: string, type: string, bytes: number])[] = [
  ['Float', 'F32', floatBytes.F32],
  ['Half', 'F16', floatBytes.F16],
  ['BFloat16', 'BF16', floatBytes.BF16],
  ['Double', 'F64', floatBytes.F64],
  ['Long', 'I64', 8],
  ['Int', 'I32', 4],
  ['Short', 'I16', 2],
  ['Char', 'I8', 1],
  ['Byte', 'U8', 1],
  ['Bool', 'BOOL', 1],
  ['ComplexFloat', 'C64', 8],
  ['ComplexDouble', 'C128', 16],
]

/** Most axes of a tensor. */
export const mostAxes = 64
/** Most characters of a storage's key, which is a number. */
const longestKey = 40
const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= mostAxes && value.every(isLength)

/** A tensor of these elements of a storage. @throws FILE_FORMAT unless all are inside of it, each at most once */
export function rebuiltTensor(parameters: readonly unknown[]): TorchTensor {
  const [view, offset, shape, strides] = parameters
  if (!(view instanceof StorageView) || !isLength(offset) || !isShape(shape) || !isShape(strides)) {
    throw malformed('its pickle has a tensor without storage, offset, shape and strides')
  }
  if (shape.length !== strides.length)
    throw malformed(`a tensor of shape ${shapeText(shape)} has ${strides.length} strides`)
  const count = elementCount(shape)
  const last = shape.reduce((sum, length, axis) => sum + (length - 1) * (strides[axis] ?? 0), offset)
  if (count > 0 && (last >= view.elements || count > view.elements)) {
    const what = `a tensor of shape ${shapeText(shape)} and strides ${shapeText(strides)} from element ${offset} on`
    throw malformed(`${what} is not inside of its storage of ${view.elements} elements`)
  }
  return new TorchTensor(view.storage, view.begin + offset, [...shape], [...strides])
}

/** Most items of all ordered dictionaries of a file that are given as pairs. A pickle can give the same pairs again and again. */
const mostItems = 2 ** 16

const first = new PickleFunction(([value = null]) => value)
const none = new PickleFunction(() => null)

/** All that dictionaries of tensors refer to. */
const names: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['torch._utils._rebuild_tensor', new PickleFunction(rebuiltTensor)],
  ['torch._utils._rebuild_tensor_v2', new PickleFunction(rebuiltTensor)],
  // the tensor of a parameter is its first argument
  ['torch._utils._rebuild_parameter', first],
  ['torch._utils._rebuild_parameter_with_state', first],
  ['torch.nn.parameter.Parameter', first],
  ['torch.Size', first],
  // classes, which the oldest form names
  ...storageTypes.map(([name]) => [`torch.${name}Tensor`, null] as const),
  ['torch.device', none],
  ['torch.serialization._get_layout', none],
  ...['float32', 'float16', 'bfloat16', 'float64', 'int64'].map((type) => [`torch.${type}`, null] as const),
  ...['torch.UntypedStorage', 'torch.storage.UntypedStorage'].map((name) => [name, new StorageType('U8', 1)] as const),
  ...storageTypes.map(([name, type, bytes]) => [`torch.${name}Storage`, new StorageType(type, bytes)] as const),
])

/** Modules of classes that are networks, and not dictionaries of their tensors. */
const networks = /^(torch\.nn|torchvision|timm|torch\.jit|torch\.fx|__torch__|__main__)\./

const saveStateDict = "save its state_dict() in Python: torch.save(model.state_dict(), 'model.pth')"

function refused(full: string): VggError {
  const name = shorten(full)
  const message = networks.test(name)
    ? `it is a whole pickled model (${name}), which only its own Python code can read`
    : `its pickle names ${name}, which dictionaries of tensors do not have; it was not run. If this is a model`
  return new VggError('FILE_FORMAT', `Expected a dictionary of tensors, but ${message}: ${saveStateDict}`)
}

/** The values of one file: rules for its pickles, which collect its storages. */
export class TorchValues {
  /** By their keys. */
  readonly storages = new Map<string, Storage>()
  readonly rules: PickleRules = {
    names: new Map([
      ...names,
      ['collections.OrderedDict', new PickleFunction((given) => this.#orderedDictionary(given))],
    ]),
    refused,
    persistent: (id) => this.#storage(id),
  }
  #items = 0

  /** An ordered dictionary; Python 2 gives its items as a list of pairs. */
  #orderedDictionary([items = []]: readonly unknown[]): Map<unknown, unknown> {
    const isPair = (item: unknown): item is [unknown, unknown] => Array.isArray(item) && item.length === 2
    this.#items += Array.isArray(items) ? items.length : 0
    if (this.#items > mostItems) throw malformed(`its pickle has ordered dictionaries of more than ${mostItems} pairs`)
    if (Array.isArray(items) && items.every(isPair)) return new Map(items)
    throw malformed('its pickle has an ordered dictionary of something that is no list of pairs')
  }

  /** A storage by its identifier: 'storage', type, key, device, elements, and the part that it is in older files. */
  #storage(id: unknown): StorageView {
    const [kind, type, key, , elements, part = null] = Array.isArray(id) ? id : []
    if (kind !== 'storage') throw malformed('its pickle refers to something that is no storage')
    const storage = this.add(key, type, elements)
    if (part === null) return new StorageView(storage, 0, storage.elements)
    const [, begin, length] = Array.isArray(part) ? part : []
    return partOf(storage, begin, length)
  }

  /** The storage of that key. @throws FILE_FORMAT if there is another one of it */
  add(key: unknown, type: unknown, elements: unknown): Storage {
    if (typeof key !== 'string' || key.length > longestKey || !(type instanceof StorageType) || !isLength(elements)) {
      throw malformed('its pickle has a storage without key, type and number of elements')
    }
    const known = this.storages.get(key) ?? { key, type: type.type, elementBytes: type.bytes, elements }
    if (known.type !== type.type || known.elements !== elements) throw malformed(`two storages are called '${key}'`)
    this.storages.set(key, known)
    return known
  }
}

/** A part of a storage. @throws FILE_FORMAT if it is not inside of it */
export function partOf(storage: Storage, begin: unknown, elements: unknown): StorageView {
  if (isLength(begin) && isLength(elements) && begin + elements <= storage.elements)
    return new StorageView(storage, begin, elements)
  throw malformed(`a part of the storage '${storage.key}' is not inside of it`)
}

/** A dictionary of tensors, and its key where another dictionary has it. */
export interface Dictionary {
  readonly key?: string
  readonly tensors: ReadonlyMap<string, TorchTensor>
}

/** Keys of the dictionary that holds a model's tensors, among others that hold tensors. */
const dictionaryKeys = ['state_dict', 'model_state_dict', 'model']

/** The tensors of a file: of its dictionary, or of the one dictionary with tensors in it. @throws FILE_FORMAT */
export function dictionaryOf(root: unknown): Dictionary {
  if (!(root instanceof Map)) throw notDictionary('it is none')
  const own = tensorsOf(root)
  if (own.size > 0) return { tensors: own }
  const inner = new Map<string, ReadonlyMap<string, TorchTensor>>()
  for (const [key, value] of root) {
    const tensors = tensorsOf(value)
    if (typeof key === 'string' && tensors.size > 0) inner.set(key, tensors)
  }
  const [only] = inner.keys()
  const key = inner.size === 1 ? only : dictionaryKeys.find((known) => inner.has(known))
  const tensors = inner.get(key ?? '')
  if (key !== undefined && tensors !== undefined) return { key, tensors }
  throw notDictionary(
    inner.size === 0 ? 'it has no tensors' : `it has several: ${shorten([...inner.keys()].slice(0, 8).join(', '))}`,
  )
}

function tensorsOf(value: unknown): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>()
  if (!(value instanceof Map)) return tensors
  for (const [key, tensor] of value)
    if (typeof key === 'string' && tensor instanceof TorchTensor) tensors.set(key, tensor)
  return tensors
}

const notDictionary = (found: string): VggError =>
  new VggError('FILE_FORMAT', `Expected a dictionary of tensors, but ${found}: ${saveStateDict}`)
