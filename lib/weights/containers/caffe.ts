import { blockBytes } from '../../checkpoint/checksum.js'
import { headBytes } from '../../data/images/formats.js'
import { VggError } from '../../error.js'
import { ByteFile } from './byte-file.js'
import { type Blob, malformed, netFields, type Part, readNet } from './caffe-net.js'
import { floatBytes, readFloats } from './floats.js'
import { fieldAt, MessageReader } from './protobuf.js'
import type { WeightFile } from './weight-file.js'

/** Begin of a network as text (.prototxt), after comments. */
const definition = /^(\s|#[^\n]*\n)*(name|layers?|input|input_dim|input_shape|force_backward|state)\s*[:{]/

/**
 * Whether a file is a network of Caffe, with weights or as text, by its first bytes as Latin-1 text. There is no signature:
 * the fields of a network up to its first layer, and the first field of that, must be those that Caffe writes.
 */
export function isCaffe(head: string): boolean {
  try {
    return definition.test(head) || beginsWithLayers(Buffer.from(head, 'latin1'))
  } catch (error) {
    if (error instanceof VggError) return false
    throw error
  }
}

/** Number of the last field of a network before its layers in the new form. */
const lastBeforeLayers = 8

/** Numbers of the fields with which layers begin: of the old form, bottom, top, name and kind; of the new one, name and kind. */
const firstOfLayer: Readonly<Record<number, readonly number[]>> = {
  [netFields.layers]: [1, 2, 3, 4, 5],
  [netFields.layer]: [1, 2],
}

function beginsWithLayers(head: Uint8Array): boolean {
  for (let at = 0; at < head.length; ) {
    const { number, type, begin, end } = fieldAt(head, at)
    const known = firstOfLayer[number]
    if (known !== undefined) {
      const first = fieldAt(head, begin)
      return type === 'bytes' && known.includes(first.number) && first.end <= end
    }
    const isText = head.subarray(begin, end).every((byte) => byte >= 32)
    if (number > lastBeforeLayers || (number === netFields.name && !isText)) return false
    at = end
  }
  return false
}

/**
 * Opens a network of Caffe (.caffemodel). The blobs of a layer are tensors with its name: 'conv1_1.0' and 'conv1_1.1'.
 * @throws FILE_FORMAT
 */
export const openCaffe = (path: string): Promise<WeightFile> => ByteFile.read(path, opened)

async function opened(file: ByteFile): Promise<WeightFile> {
  const head = Buffer.alloc(Math.min(file.size, headBytes))
  await file.fill(head, 0)
  if (definition.test(head.toString('latin1'))) {
    const message =
      'It is the text that describes a network of Caffe (.prototxt), without weights: give the .caffemodel'
    throw new VggError('FILE_FORMAT', message)
  }
  const { name, layers } = await readNet(new MessageReader(file))
  const blobs = layers.flatMap((layer) => layer.blobs)
  const byName = new Map(blobs.map((blob) => [blob.name, blob]))
  if (byName.size === 0) throw malformed('it has no weights: give the .caffemodel of a trained network')
  const twice = blobs.find((blob) => byName.get(blob.name) !== blob)
  if (twice !== undefined) throw malformed(`it has ${twice.name} twice`)
  return {
    container: 'caffe',
    tensors: blobs.map(({ name: blob, shape, type }) => ({ name: blob, shape, type })),
    layers: layers.map(({ name: layer, kind, options }) => ({ name: layer, kind, options })),
    metadata: { name },
    read: async (tensor, into, begin) => {
      const blob = byName.get(tensor.name)
      if (blob === undefined) throw malformed(`it has no ${tensor.name}`)
      await readElements(file, blob, into, begin)
    },
    digest: () => file.digest(),
    close: () => file.close(),
  }
}

/** Fills `into` with the elements of a blob from `begin` on. @throws FILE_FORMAT if it has fewer */
async function readElements(file: ByteFile, blob: Blob, into: Float32Array, begin: number): Promise<void> {
  let [filled, before] = [0, 0]
  for (const part of blob.parts) {
    const first = Math.max(0, begin - before)
    const count = Math.min(part.count - first, into.length - filled)
    if (count > 0) {
      const at = part.begin + first * part.stride
      await file.hashTo(at)
      await readPart(file, { ...part, begin: at, count }, blob.type, into.subarray(filled, filled + count))
      filled += count
    }
    before += part.count
  }
  if (filled < into.length) throw malformed(`${blob.name} ends before element ${begin + into.length}`)
}

async function readPart(file: ByteFile, { begin, count, stride }: Part, type: Blob['type'], into: Float32Array) {
  const size = floatBytes[type]
  if (stride === size) return readFloats(file, type, begin, into)
  // numbers with a tag before each
  const most = Math.floor(blockBytes / stride)
  for (let from = 0; from < count; from += most) {
    const some = into.subarray(from, from + most)
    const block = new Uint8Array((some.length - 1) * stride + size)
    await file.fill(block, begin + from * stride)
    const view = new DataView(block.buffer)
    for (let index = 0; index < some.length; index++)
      some[index] = type === 'F64' ? view.getFloat64(index * stride, true) : view.getFloat32(index * stride, true)
  }
}
