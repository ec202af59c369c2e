// no named import: where Node has no crc32 lib/native/node-check.ts is to say so, not the linker
import zlib from 'node:zlib'
import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import { packageVersion } from '../package.js'
import { Tensor, valuesOf } from '../tensor.js'
import { modelOf } from './model.js'
import { format, type OpenFile, tablePrefix, velocityPrefix, versions, withFile } from './open-file.js'
import { type Entry, encodeHeader, type TensorData, type TensorInfo, tensorBytes } from './safetensors.js'

/** Integers, by name, of any shape: kept apart from the plain data, for they may be many. */
export type Tables = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Int32Array }>

/** Parameters and velocities of one moment, by their names in a file. */
export type Arrays = ReadonlyMap<string, Float32Array>

/** Reads what a network has learned. The reads are queued at the call: no step that is begun later shows. */
export async function readArrays(network: Network): Promise<Arrays> {
  const reads = network.parameters.flatMap(({ name }) => [
    network.parameter(name).then((tensor) => [name, valuesOf(tensor)] as const),
    network.velocity(name).then((tensor) => [`${velocityPrefix}${name}`, valuesOf(tensor)] as const),
  ])
  return new Map(await Promise.all(reads))
}

/** What a training file holds besides the model and its arrays. */
export interface TrainingRecord {
  /** Plain data, as JSON. */
  readonly state: string
  readonly tables: Tables
}

/** The beginning of a training file, but for what is not known before the steps under way are done. */
export const describeNetwork = (network: Network): { model: string; run: string } => {
  const { device, precision, deterministic, run } = network
  return { model: JSON.stringify(modelOf(network)), run: JSON.stringify({ device, precision, deterministic, ...run }) }
}

/**
 * The bytes of a training file, in parts. Equal trainings give equal bytes: no time of day is in it.
 * @param described what `describeNetwork` says
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
  // of the same order and length as with the right checksum
  const { entries } = encodeHeader(infos, { ...texts, checksum: checksumText(0) })
  const parts = entries.map((entry) => tensorBytes(entry, data.get(entry.name)))
  const checksum = new Checksum(texts)
  for (const part of parts) await checksum.add(part)
  return [encodeHeader(infos, { ...texts, checksum: checksumText(checksum.value) }).header, ...parts]
}

/** Names of the arrays in a file, and their shapes. */
export function shapesOf(network: Network): ReadonlyMap<string, readonly number[]> {
  return new Map(
    network.parameters.flatMap(({ name, shape }) => [
      [name, shape],
      [`${velocityPrefix}${name}`, shape],
    ]),
  )
}

const checksumText = (value: number): string => value.toString(16).padStart(8, '0')

/** CRC-32 of the texts of a file and of its tensors: a bit that fell over on the disk is found. */
class Checksum {
  value: number

  constructor({ model, run, training }: Readonly<Record<string, string | undefined>>) {
    this.value = zlib.crc32(JSON.stringify([model, run, training]))
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; from += sliceBytes) {
      this.value = zlib.crc32(bytes.subarray(from, from + sliceBytes), this.value)
      // a few milliseconds each: the event loop has its turn between them
      if (bytes.length > sliceBytes) await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const sliceBytes = 2 ** 22

/** The plain data of a training file. @throws FILE_FORMAT where it is a model only */
export function trainingText({ metadata }: OpenFile): string {
  const { training } = metadata
  if (metadata.version === versions.training && training !== undefined) return training
  const message = 'Expected a checkpoint of a training but found a model only; load takes it'
  throw new VggError('FILE_FORMAT', message)
}

/**
 * Reads all of a training file, and checks it against its checksum: tables are returned, arrays are given to `take`
 * one after another, before the checksum is known.
 * @throws FILE_FORMAT
 */
export async function readTraining(
  file: OpenFile,
  take: (entry: Entry, data: Float32Array) => Promise<void>,
): Promise<Tables> {
  trainingText(file)
  const tables = new Map<string, { shape: readonly number[]; data: Int32Array }>()
  const checksum = new Checksum(file.metadata)
  const entries = [...file.parameters, ...file.velocities, ...file.tables].sort((a, b) => a.begin - b.begin)
  for (const entry of entries) {
    const bytes = await file.read(entry)
    await checksum.add(bytes)
    if (entry.dtype === 'F32') await take(entry, new Float32Array(bytes.buffer))
    else tables.set(entry.name.slice(tablePrefix.length), { shape: entry.shape, data: new Int32Array(bytes.buffer) })
  }
  if (checksumText(checksum.value) === file.metadata.checksum) return tables
  throw new VggError('FILE_FORMAT', 'Its bytes do not agree with its checksum: it is damaged')
}

/** Writes an array of a training file into a network. */
export async function writeArray(network: Network, { name, shape }: Entry, data: Float32Array): Promise<void> {
  const values = Tensor.from(data, shape)
  if (!name.startsWith(velocityPrefix)) return network.setParameter(name, values)
  return network.setVelocity(name.slice(velocityPrefix.length), values)
}

/** Reads a file to its end. @throws FILE_NOT_FOUND, FILE_FORMAT saying what is wrong */
export async function checkWhole(path: string): Promise<void> {
  await withFile(path, async (file) => {
    await readTraining(file, async () => undefined)
  })
}
