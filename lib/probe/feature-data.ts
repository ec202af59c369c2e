import type { FeatureDescription } from '../embed/feature-description.js'
import { FeatureFile } from '../embed/feature-file.js'
import { throwIfAborted, VggError } from '../error.js'
import { availableMainMemory } from '../main-memory.js'
import { instanceOf, optional, readOptions } from '../options.js'
import { bytesText } from '../table.js'
import { Tensor } from '../tensor.js'
import type { ProbeData } from './data.js'

/** The features of a file, in memory. */
export interface StoredFeatures extends ProbeData {
  /** float32 [n, columns]; stacked scales follow each other in a row. */
  readonly features: Tensor<'float32'>
  /** Name of each row, such as the path of its image. */
  readonly names: readonly string[]
  /** How the features were computed. */
  readonly description: FeatureDescription
}

/** Options of `readFeatures`. */
export interface ReadFeaturesOptions {
  /** Ends the call with ABORTED. */
  signal?: AbortSignal | undefined
}

/** Rows that are read at a time. */
const rowsAtOnce = 256

/**
 * Reads a file that `vggnet embed` wrote into memory: 4 bytes for each feature.
 * @throws FILE_NOT_FOUND, FILE_FORMAT; OUT_OF_MEMORY if the features do not fit into memory; ABORTED
 */
export async function readFeatures(file: string, options?: ReadFeaturesOptions): Promise<StoredFeatures> {
  const { signal } = readOptions(options, 'readFeatures options', { signal: optional(instanceOf(AbortSignal)) })
  const open = await FeatureFile.open(file)
  try {
    const { count, rowLength, description } = open
    checkRoom(file, 4 * count * rowLength)
    const values = new Float32Array(count * rowLength)
    for (let first = 0; first < count; first += rowsAtOnce) {
      throwIfAborted(signal, 'Reading the features')
      await open.readRows(first, values.subarray(first * rowLength, (first + rowsAtOnce) * rowLength))
    }
    return {
      features: Tensor.from(values, [count, rowLength]),
      labels: await open.readLabels(0, count),
      classNames: description.classNames,
      names: await open.readNames(0, count),
      description,
    }
  } finally {
    await open.close()
  }
}

/** @throws OUT_OF_MEMORY */
function checkRoom(file: string, bytes: number): void {
  const available = availableMainMemory()
  if (bytes <= available) return
  const message = `The features of ${file} take ${bytesText(bytes)} in memory but ${bytesText(available)} are available; embed fewer layers or images`
  throw new VggError('OUT_OF_MEMORY', message)
}
