import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import { packageVersion } from '../platform/package.js'
import { Tensor, valuesOf } from '../tensor.js'
import { encodeWithChecksums } from './checksum.js'
import { modelOf } from './model.js'
import { format, type OpenFile, TensorReader, tablePrefix, velocityPrefix, versions, withFile } from './open-file.js'
import type { Entry, TensorData, TensorInfo } from './safetensors.js'

/** Integer arrays by name, stored as tensors because they may be large. */
export type Tables = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Int32Array }>

/** Parameters and velocities at one step, by their names in a file. */
export type Arrays = ReadonlyMap<string, Float32Array>

/** Reads all parameters and velocities. The reads are queued at the call: later steps have no effect. */
export async function readArrays(network: Network): Promise<Arrays> {
  const reads = network.parameters.flatMap(({ name }) => [
    network.parameter(name).then((tensor) => [name, valuesOf(tensor)] as const),
    network.velocity(name).then((tensor) => [`${velocityPrefix}${name}`, valuesOf(tensor)] as const),
  ])
  return new Map(await Promise.all(reads))
}

/** State of a training that a file contains besides the model and its arrays. */
export interface TrainingRecord {
  /** Plain data as JSON. */
  readonly state: string
  readonly tables: Tables
}

/** The metadata of a training file that are known before the pending steps complete. */
export const describeNetwork = (network: Network): { model: string; run: string } => {
  const { device, precision, deterministic, run } = network
  return { model: JSON.stringify(modelOf(network)), run: JSON.stringify({ device, precision, deterministic, ...run }) }
}

/**
 * Encodes a training file, in parts. Equal trainings give equal bytes: the file contains no times.
 * @param described result of `describeNetwork`
 */
export async function encodeTraining(
  described: { readonly model: string; readonly run: string },
  shapes: ReadonlyMap<string, readonly number[]>,
  arrays: Arrays,
  { state, tables }: TrainingRecord,
): Promise<Uint8Array[]> {
  const data = new Map<string, TensorData>(arrays)
  const infos = [...arrays.keys()].map((name): TensorInfo => ({ name, dtype: 'F32', shape: shapes.get(name) ?? [] }))
  for (const [name, table] of tables) {
    infos.push({ name: `${tablePrefix}${name}`, dtype: 'I32', shape: table.shape })
    data.set(`${tablePrefix}${name}`, table.data)
  }
  const texts = { format, version: versions.training, ...described, training: state, vggnet: packageVersion() }
  return encodeWithChecksums(infos, data, texts)
}

/** Shapes of the arrays by their names in a file. */
export function shapesOf(network: Network): ReadonlyMap<string, readonly number[]> {
  return new Map(
    network.parameters.flatMap(({ name, shape }) => [
      [name, shape],
      [`${velocityPrefix}${name}`, shape],
    ]),
  )
}

/** The plain data of a training file as JSON. @throws FILE_FORMAT if it is a model only, or has no checksum */
export function trainingText({ metadata, checksums }: OpenFile): string {
  const { training } = metadata
  if (metadata.version === versions.training && training !== undefined) {
    if (checksums.covers !== 'nothing') return training
    throw new VggError('FILE_FORMAT', 'Expected a checkpoint with its checksum but found none: it is damaged')
  }
  const message = 'Expected a checkpoint of a training but found a model only; use load'
  throw new VggError('FILE_FORMAT', message)
}

/**
 * Reads and verifies a whole training file. `take` receives the arrays one after another; the tables are returned.
 * @throws FILE_FORMAT
 */
export async function readTraining(
  file: OpenFile,
  take: (entry: Entry, data: Float32Array) => Promise<void>,
): Promise<Tables> {
  trainingText(file)
  const tables = new Map<string, { shape: readonly number[]; data: Int32Array }>()
  const reader = new TensorReader(file)
  for (const entry of file.tensors) {
    const { buffer } = await reader.read(entry)
    if (entry.dtype === 'F32') await take(entry, new Float32Array(buffer))
    else tables.set(entry.name.slice(tablePrefix.length), { shape: entry.shape, data: new Int32Array(buffer) })
  }
  return tables
}

/** Writes an array of a training file into a network. */
export async function writeArray(network: Network, { name, shape }: Entry, data: Float32Array): Promise<void> {
  const values = Tensor.from(data, shape)
  if (!name.startsWith(velocityPrefix)) return network.setParameter(name, values)
  return network.setVelocity(name.slice(velocityPrefix.length), values)
}

/** Reads and verifies a whole checkpoint of a training. @throws FILE_NOT_FOUND, FILE_FORMAT with the reason */
export async function checkWhole(path: string): Promise<void> {
  await withFile(path, async (file) => {
    trainingText(file)
    const reader = new TensorReader(file)
    for (const entry of file.tensors) await reader.verify(entry)
  })
}
