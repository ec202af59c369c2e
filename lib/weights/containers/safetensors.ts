import { headerFields, headerLength, lengthBytes, parseHeader } from '../../checkpoint/safetensors.js'
import type { JsonLimits } from '../../untrusted.js'
import { ByteFile } from './byte-file.js'
import { firstFloat, floatBytes, floatType, readFloats } from './floats.js'
import type { ForeignTensor, WeightFile } from './weight-file.js'

/** Size in bytes of an element of each type of the format; most are only listed. */
export const bytesOf = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1 },
  ...{ I16: 2, U16: 2, I32: 4, U32: 4, I64: 8, U64: 8, C64: 8 },
  ...floatBytes,
}

/** Limits of a header: a thousand times that of VGG-19; 10,000 tensors fit. */
export const headerLimits: JsonLimits = { bytes: 2 ** 23, depth: 3, values: 2 ** 17, keys: 2 ** 16 }

/** Opens a safetensors file of any program. @throws FILE_FORMAT */
export const openSafetensors = (path: string): Promise<WeightFile> => ByteFile.read(path, readIndex)

async function readIndex(file: ByteFile): Promise<WeightFile> {
  const length = new Uint8Array(Math.min(lengthBytes, file.size))
  await file.fill(length, 0)
  const json = new Uint8Array(headerLength(length, file.size, headerLimits))
  await file.fill(json, lengthBytes)
  const start = lengthBytes + json.length
  const { tensors, metadata } = parseHeader(headerFields(json, headerLimits), file.size - start, bytesOf)
  const locate = ({ name, type }: ForeignTensor) => ({ type: floatType(name, type), begin: begins.get(name) ?? 0 })
  const begins = new Map(tensors.map(({ name, begin }) => [name, start + begin]))
  return {
    container: 'safetensors',
    tensors: tensors.map(({ name, shape, dtype }) => ({ name, shape, type: dtype })),
    layers: [],
    metadata,
    read: async (tensor, into, begin) => {
      const { type, begin: first } = locate(tensor)
      const at = first + begin * floatBytes[type]
      await file.hashTo(at)
      await readFloats(file, type, at, into)
    },
    first: (tensor) => firstFloat(file, locate(tensor)),
    digest: () => file.digest(),
    close: () => file.close(),
  }
}
