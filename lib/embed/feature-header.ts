import type { FileHandle } from 'node:fs/promises'
import { fill, sizeOf } from '../checkpoint/open-file.js'
import {
  type Entry,
  headerFields,
  headerLength,
  lengthBytes,
  metadataOf,
  parseHeader,
  type TensorInfo,
} from '../checkpoint/safetensors.js'
import { contentText, headBytes } from '../data/images/formats.js'
import { VggError } from '../error.js'
import { filled } from '../files/regular-file.js'
import { shapeText } from '../tensor.js'
import {
  descriptionKey,
  dimensionOf,
  type FeatureDescription,
  parsedDescription,
  stackedScales,
} from './feature-description.js'

/** Most values of the features of one image: all tensors of VGG-19, pooled twice, at 500 scales. */
const mostValues = 2 ** 24

export type TensorName = 'features' | 'labels' | 'file_offsets' | 'files'

/** The tensors of a file of so many images. */
export function infosOf(description: FeatureDescription, count: number, nameBytes: number): TensorInfo[] {
  const scales = stackedScales(description)
  const row = [...(scales === undefined ? [] : [scales]), dimensionOf(description)]
  return [
    { name: 'features', dtype: 'F32', shape: [count, ...row] },
    { name: 'labels', dtype: 'I64', shape: [count] },
    { name: 'file_offsets', dtype: 'I64', shape: [count + 1] },
    { name: 'files', dtype: 'U8', shape: [nameBytes] },
  ]
}

/** What the header of a file of features says. */
export interface FeatureHeader {
  readonly description: FeatureDescription
  /** Number of images. */
  readonly count: number
  /** Values of an image. */
  readonly rowLength: number
  readonly starts: Readonly<Record<TensorName, number>>
  readonly nameBytes: number
}

/** Reads the header of an open file, and checks it against the size of the file. @throws FILE_FORMAT */
export async function readFeatureHeader(handle: FileHandle): Promise<FeatureHeader> {
  const size = await sizeOf(handle)
  const beginning = Buffer.alloc(Math.min(size, headBytes))
  await filled(handle, beginning)
  if (beginning[lengthBytes] !== '{'.charCodeAt(0)) {
    const content = contentText(beginning) ?? 'of another kind'
    throw new VggError('FILE_FORMAT', `Expected features (safetensors) but it is ${content}`)
  }
  const json = new Uint8Array(headerLength(beginning.subarray(0, lengthBytes), size))
  await fill(handle, json, lengthBytes)
  const fields = headerFields(json)
  // before the tensors, which those of another file may be of other types
  const description = parsedDescription(metadataOf(fields)[descriptionKey])
  const start = lengthBytes + json.length
  const { tensors } = parseHeader(fields, size - start)
  const found = new Map(tensors.map((entry) => [entry.name, entry]))
  const [count = 0] = found.get('features')?.shape ?? []
  const nameBytes = found.get('files')?.shape[0] ?? 0
  const starts = checkedTensors(found, infosOf(description, count, nameBytes), start)
  const rowLength = (stackedScales(description) ?? 1) * dimensionOf(description)
  if (rowLength < 1 || rowLength > mostValues) {
    const message = `Expected 1 to ${mostValues} features of an image but its description has ${rowLength}`
    throw new VggError('FILE_FORMAT', message)
  }
  return { description, count, rowLength, starts, nameBytes }
}

/** @returns the position of each tensor in the file */
function checkedTensors(
  found: Map<string, Entry>,
  infos: readonly TensorInfo[],
  start: number,
): Record<TensorName, number> {
  for (const { name, dtype, shape } of infos) {
    const entry = found.get(name)
    if (entry?.dtype === dtype && shapeText(entry.shape) === shapeText(shape)) continue
    const what = entry === undefined ? 'found none' : `found ${entry.dtype} ${shapeText(entry.shape)}`
    throw new VggError('FILE_FORMAT', `Expected ${name} as ${dtype} ${shapeText(shape)} but ${what}`)
  }
  return Object.fromEntries(infos.map(({ name }) => [name, start + (found.get(name)?.begin ?? 0)])) as never
}
