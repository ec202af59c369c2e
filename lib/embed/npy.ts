import { writeAtomically } from '../files/atomic-file.js'
import { stackedScales } from './feature-description.js'
import { FeatureFile } from './feature-file.js'

/** Number of labels that are written at once. */
const atOnce = 2 ** 16

/** The header of a NumPy array (npy, version 1.0), which ends at a multiple of 64 bytes. */
function headerOf(type: '<f4' | '<i8', shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`
  const start = 10
  const header = Buffer.alloc(Math.ceil((start + text.length + 1) / 64) * 64, ' ')
  header.write('\x93NUMPY\x01\x00', 'latin1')
  header.writeUInt16LE(header.length - start, 8)
  header.write(text, start)
  header.write('\n', header.length - 1)
  return header
}

/** Names of the arrays beside a file of features: `features.npy` and `features.labels.npy`. */
export function npyNames(file: string): { readonly features: string; readonly labels: string } {
  const stem = file.replace(/\.safetensors$/i, '')
  return { features: `${stem}.npy`, labels: `${stem}.labels.npy` }
}

/**
 * Writes the features and the labels of a file beside it as NumPy arrays, float32 [N, D] or [N, S, D] and int64 [N].
 * @throws FILE_NOT_FOUND, FILE_FORMAT, FILE_WRITE
 */
export async function writeNpy(file: string): Promise<void> {
  const features = await FeatureFile.open(file)
  const { count, rowLength, description } = features
  const scales = stackedScales(description)
  const shape = scales === undefined ? [count, rowLength] : [count, scales, rowLength / scales]
  async function* rows(): AsyncGenerator<Uint8Array> {
    yield headerOf('<f4', shape)
    for await (const { rows: block } of features.blocks())
      yield new Uint8Array(block.buffer, block.byteOffset, block.byteLength)
  }
  async function* labels(): AsyncGenerator<Uint8Array> {
    yield headerOf('<i8', [count])
    for (let first = 0; first < count; first += atOnce) {
      const some = await features.readLabels(first, Math.min(atOnce, count - first))
      yield new Uint8Array(BigInt64Array.from(some, BigInt).buffer)
    }
  }
  try {
    const names = npyNames(file)
    await writeAtomically(names.features, rows())
    await writeAtomically(names.labels, labels())
  } finally {
    await features.close()
  }
}
