import { VggError } from '../../error.js'
import { elementCount, shapeText } from '../../tensor.js'
import { type Field, type FieldRun, type MessageReader, varintsOf } from './protobuf.js'
import type { ForeignLayer, ForeignTensor } from './weight-file.js'

// The messages of a network: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto

/** Numbers of the fields of a network. Layers have an old form, `layers`, and a new one, `layer`. */
export const netFields = { name: 1, layers: 2, layer: 100 } as const

/** Numbers of the fields of a layer in the old and the new form. */
const layerForms = {
  old: { name: 4, kind: 5, blobs: 6, Convolution: 10, Pooling: 19, InnerProduct: 17 },
  new: { name: 1, kind: 2, blobs: 7, Convolution: 106, Pooling: 121, InnerProduct: 117 },
} as const

type LayerForm = (typeof layerForms)[keyof typeof layerForms]

/** Number of the field of a layer in the old form that holds a layer in the form before that. */
const oldestForm = 1

/** Numbers of the fields of a blob. */
const blobFields = { data: 5, doubles: 8, shape: 7 } as const
/** Number of the field of a shape that lists its lengths. */
const lengthsField = 1

/** Names of the kinds that the old form numbers. */
const oldKinds: Readonly<Record<number, string>> = {
  ...{ 1: 'Accuracy', 3: 'Concat', 4: 'Convolution', 5: 'Data', 6: 'Dropout', 8: 'Flatten', 12: 'ImageData' },
  ...{ 14: 'InnerProduct', 15: 'LRN', 17: 'Pooling', 18: 'ReLU', 19: 'Sigmoid', 20: 'Softmax', 21: 'SoftmaxWithLoss' },
  ...{ 22: 'Split', 23: 'TanH', 25: 'Eltwise', 29: 'MemoryData', 32: 'DummyData', 33: 'Slice', 36: 'Silence' },
  39: 'Deconvolution',
}

/** Integers of a message by the number of their field. */
type Numbers = ReadonlyMap<number, readonly number[]>

const last = (numbers: Numbers, field: number): number | undefined => numbers.get(field)?.at(-1)

/** An option of height and width, in one field for both or in two: a number, or '1x3' where they differ. */
function sides(numbers: Numbers, both: number, [high, wide]: readonly [number, number], otherwise: number) {
  const values = numbers.get(both) ?? []
  const height = last(numbers, high) ?? values[0] ?? otherwise
  const width = last(numbers, wide) ?? values.at(-1) ?? otherwise
  return height === width ? height : `${height}x${width}`
}

/** The options of a kind of layer by Caffe's names, with Caffe's defaults. */
const optionsOf = {
  Convolution: (numbers: Numbers) => ({
    kernel_size: sides(numbers, 4, [11, 12], 0),
    stride: sides(numbers, 6, [13, 14], 1),
    pad: sides(numbers, 3, [9, 10], 0),
    dilation: sides(numbers, 18, [0, 0], 1),
    group: last(numbers, 5) ?? 1,
  }),
  Pooling: (numbers: Numbers) => ({
    pool: ['MAX', 'AVE', 'STOCHASTIC'][last(numbers, 1) ?? 0] ?? 'unknown',
    kernel_size: sides(numbers, 2, [5, 6], 0),
    stride: sides(numbers, 3, [7, 8], 1),
    pad: sides(numbers, 4, [9, 10], 0),
    global_pooling: last(numbers, 12) === 1,
  }),
  InnerProduct: (numbers: Numbers) => ({ transpose: last(numbers, 6) === 1 }),
} as const

type DescribedKind = keyof typeof optionsOf
const describedKinds = Object.keys(optionsOf) as DescribedKind[]

/** Most axes of a blob, as in Caffe. */
const mostAxes = 32
/** Longest name of a layer, and longest list of the lengths of axes, in bytes. */
const longest = { name: 1000, shape: 10 * mostAxes } as const

/** Elements that follow each other in the file, `stride` bytes apart. A message may hold a list in several parts. */
export interface Part {
  readonly begin: number
  readonly count: number
  readonly stride: number
}

/** Parameters of a layer. */
export interface Blob extends ForeignTensor {
  readonly type: 'F32' | 'F64'
  readonly parts: readonly Part[]
}

interface BlobLayer extends ForeignLayer {
  readonly blobs: readonly Blob[]
}

/** A network. */
interface Net {
  readonly name: string
  readonly layers: readonly BlobLayer[]
}

export const malformed = (message: string): VggError =>
  new VggError('FILE_FORMAT', `Not a valid network of Caffe: ${message}`)

/** Reads a network without its numbers. @throws FILE_FORMAT */
export async function readNet(reader: MessageReader): Promise<Net> {
  let name = ''
  const layers: BlobLayer[] = []
  for await (const field of reader.fields()) {
    if (field.number === netFields.name) name = await textOf(reader, field)
    if (field.number === netFields.layers) layers.push(await readLayer(reader, field, layerForms.old))
    if (field.number === netFields.layer) layers.push(await readLayer(reader, field, layerForms.new))
  }
  return { name, layers }
}

const textOf = async (reader: MessageReader, field: Field): Promise<string> =>
  new TextDecoder().decode(await reader.bytes(field, longest.name))

async function readLayer(reader: MessageReader, message: Field, form: LayerForm): Promise<BlobLayer> {
  let [name, kind] = ['', '']
  const blobs: Field[] = []
  const described = new Map<string, Numbers>()
  for await (const field of reader.fields(message)) {
    const { number, type, value } = field
    if (number === form.name) name = await textOf(reader, field)
    else if (number === form.kind)
      kind = type === 'varint' ? (oldKinds[value] ?? `type ${value}`) : await textOf(reader, field)
    else if (number === form.blobs) blobs.push(field)
    else if (form === layerForms.old && number === oldestForm) throw malformed(ofOldestForm)
    const ofKind = describedKinds.find((one) => form[one] === number)
    if (ofKind !== undefined) described.set(ofKind, await readNumbers(reader, field))
  }
  const describedKind = describedKinds.find((one) => one === kind)
  const options = describedKind ? optionsOf[describedKind](described.get(kind) ?? new Map()) : {}
  const read: Blob[] = []
  for (const [index, blob] of blobs.entries()) read.push(await readBlob(reader, blob, { name, kind, index }))
  return { name, kind, options, blobs: read }
}

const ofOldestForm =
  "its layers are of Caffe's form V0 of 2013: convert it with Caffe's tool upgrade_net_proto_binary first"

/** The integers of a message; other fields are not read. */
async function readNumbers(reader: MessageReader, message: Field): Promise<Numbers> {
  const numbers = new Map<number, number[]>()
  for await (const { number, type, value } of reader.fields(message)) {
    if (type !== 'varint') continue
    const values = numbers.get(number) ?? []
    values.push(value)
    numbers.set(number, values)
  }
  return numbers
}

interface BlobOwner {
  readonly name: string
  readonly kind: string
  /** Index of the blob in its layer: 0 for the weight, 1 for the bias. */
  readonly index: number
}

async function readBlob(reader: MessageReader, message: Field, owner: BlobOwner): Promise<Blob> {
  const parts = { F32: [] as Part[], F64: [] as Part[] }
  const legacy = [0, 0, 0, 0]
  let shape: readonly number[] | undefined
  for await (const field of reader.fields(message)) {
    const { number, value } = field
    if (number === blobFields.data) parts.F32.push(partOf(field, 4))
    else if (number === blobFields.doubles) parts.F64.push(partOf(field, 8))
    else if (number === blobFields.shape) shape = await readShape(reader, field)
    // num, channels, height, width
    else if (number <= legacy.length) legacy[number - 1] = value
  }
  const name = `${owner.name}.${owner.index}`
  const type = parts.F64.length > 0 ? 'F64' : 'F32'
  const blob = { name, type, shape: shape ?? shapeOfFour(legacy, owner), parts: parts[type] } as const
  const found = blob.parts.reduce((sum, { count }) => sum + count, 0)
  if (found === elementCount(blob.shape)) return blob
  throw malformed(`${name} of shape ${shapeText(blob.shape)} has ${found} elements`)
}

/** The elements in a field of a blob. @throws FILE_FORMAT */
function partOf({ type, begin, end, count, stride }: FieldRun, bytes: 4 | 8): Part {
  if (type === `fixed${bytes * 8}`) return { begin, count, stride }
  if (type === 'bytes' && (end - begin) % bytes === 0) return { begin, count: (end - begin) / bytes, stride: bytes }
  throw malformed(`the elements at byte ${begin} are no list of numbers of ${bytes} bytes`)
}

async function readShape(reader: MessageReader, message: Field): Promise<readonly number[]> {
  const lengths: number[] = []
  for await (const field of reader.fields(message)) {
    if (field.number !== lengthsField) continue
    if (field.type === 'varint') lengths.push(field.value)
    else lengths.push(...varintsOf(await reader.bytes(field, longest.shape)))
  }
  if (lengths.length <= mostAxes) return lengths
  throw malformed(`a blob of ${lengths.length} axes; at most ${mostAxes} are allowed`)
}

/** Axes of the first blob of a layer; the others have one. */
const weightAxes: Readonly<Record<string, number>> = { Convolution: 4, Deconvolution: 4, InnerProduct: 2 }

/** The shape of a blob of the old form, which always has four axes, the first ones of length 1. */
function shapeOfFour(four: readonly number[], { kind, index }: BlobOwner): readonly number[] {
  const axes = index === 0 ? (weightAxes[kind] ?? 1) : 1
  const first = four.findIndex((length, axis) => length !== 1 || axis === four.length - axes)
  return four.slice(first)
}
