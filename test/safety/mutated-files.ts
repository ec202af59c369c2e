import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import { decode, type NamedTensor } from '../../lib/checkpoint/safetensors.js'
import type { Random } from '../../lib/random.js'
import { sealed } from '../setup/model-file.js'
import { mutatedBytes, mutatedJson, pick } from '../setup/mutations.js'

/** A mutated file. */
export interface Mutated {
  readonly bytes: Uint8Array
  /** Whether its checksums were computed again, so that another content is rightly read. */
  readonly isSealed: boolean
}

export const unsealed = (bytes: Uint8Array): Mutated => ({ bytes, isSealed: false })

/** Number of images in the shard. */
export const shardImages = 3

const headerOf = (file: Uint8Array): { json: Record<string, unknown>; rest: Uint8Array } => {
  const start = 8 + Number(Buffer.from(file).readBigUInt64LE())
  return { json: JSON.parse(Buffer.from(file.subarray(8, start)).toString()), rest: file.subarray(start) }
}

/** A header in which a value is another one, before the same data. */
function withHeader(random: Random, file: Uint8Array): Uint8Array {
  const { json, rest } = headerOf(file)
  const header = Buffer.from(mutatedJson(random, json))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, rest])
}

/** Tensors that are missing, exchanged, renamed, of another shape, type or value, or one more. */
function mutatedTensors(random: Random, tensors: readonly NamedTensor[]): NamedTensor[] {
  const result = [...tensors]
  const index = random.integer(result.length)
  const one = result[index] as NamedTensor
  const other = pick(random, tensors)
  const data = one.data.slice()
  data.set([typeof data[0] === 'bigint' ? -1n : pick(random, [-1, 0, 1e9, Number.NaN])] as never, 0)
  const changes: (() => unknown)[] = [
    () => result.splice(index, 1),
    () => result.splice(index, 1, { ...one, data: other.data, shape: other.shape, dtype: other.dtype }),
    () =>
      result.splice(index, 1, { ...one, name: pick(random, [`${one.name}x`, '', '__proto__', `table/${one.name}`]) }),
    () => result.splice(index, 1, { ...one, shape: [...one.shape].reverse() }),
    () => result.splice(index, 1, { ...one, shape: [one.data.length] }),
    () => result.splice(index, 1, { ...one, data } as NamedTensor),
    () => result.push({ ...other, name: pick(random, ['more', 'table/more', 'velocity/more', 'a\nb\0']) }),
  ]
  pick(random, changes)()
  return result
}

const textKeys = ['model', 'run', 'training'] as const

/** A file of ours: bytes, header, texts or tensors are changed; the checksums of the latter two are computed again. */
export async function mutatedOwn(
  random: Random,
  file: Uint8Array,
  keys: readonly string[] = textKeys,
): Promise<Mutated> {
  const way = random.integer(4)
  if (way === 0) return unsealed(mutatedBytes(random, file))
  if (way === 1) return unsealed(withHeader(random, file))
  const { tensors, metadata } = decode(file)
  if (way === 2) {
    try {
      return { bytes: await sealed(mutatedTensors(random, tensors), metadata), isSealed: true }
    } catch {
      // names that no file can have
      return unsealed(mutatedBytes(random, file))
    }
  }
  return mutatedText(random, file, keys)
}

export async function mutatedText(random: Random, file: Uint8Array, keys: readonly string[]): Promise<Mutated> {
  const { tensors, metadata } = decode(file)
  const key = pick(
    random,
    keys.filter((name) => metadata[name] !== undefined),
  )
  const text = mutatedJson(random, JSON.parse(metadata[key] ?? '{}'))
  return { bytes: await sealed(tensors, { ...metadata, [key]: text }), isSealed: true }
}

/** A shard whose table has another number; its hash is computed again. */
export function mutatedShard(random: Random, file: Uint8Array): Mutated {
  if (random.integer(2) === 0) return unsealed(mutatedBytes(random, file))
  const bytes = Buffer.from(file)
  const table = bytes.subarray(40, 40 + 48 * shardImages)
  const numbers = [0, -1, 1, 0.5, 40, 1e4, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, Number.NaN, Number.POSITIVE_INFINITY]
  for (let count = 1 + random.integer(2); count > 0; count--)
    table.writeDoubleLE(pick(random, numbers), 8 * random.integer(table.length / 8))
  createHash('sha256').update(endianness()).update(table).digest().copy(bytes, 8)
  return { bytes, isSealed: true }
}

export const orHeader = (random: Random, file: Uint8Array): Buffer =>
  random.integer(2) === 0 ? mutatedBytes(random, file) : Buffer.from(withHeader(random, file))

/** Bytes of a pickle, a table or a directory, which are few among those of the numbers, changed near texts of the format. */
export const near =
  (marks: RegExp) =>
  (random: Random, file: Uint8Array): Buffer => {
    if (random.integer(3) === 0) return mutatedBytes(random, file)
    const text = Buffer.from(file).toString('latin1')
    const found = pick(random, [...text.matchAll(marks)])
    const begin = Math.max(0, (found?.index ?? 0) - 16)
    const end = Math.min(file.length, begin + 96)
    return Buffer.concat([file.subarray(0, begin), mutatedBytes(random, file.subarray(begin, end)), file.subarray(end)])
  }

export const pickled = near(/torch|Storage|\.weight|\.bias|PK[^ -~]{2}|data\.pkl|ustar|tensors|storages/g)

export function mutatedLog(random: Random, file: Uint8Array): Buffer {
  if (random.integer(2) === 0) return mutatedBytes(random, file)
  const lines = Buffer.from(file).toString().trimEnd().split('\n')
  const index = random.integer(lines.length)
  lines[index] = mutatedJson(random, JSON.parse(lines[index] ?? '{}'))
  return Buffer.from(`${lines.join('\n')}\n`)
}
