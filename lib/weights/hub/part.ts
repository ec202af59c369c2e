import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { format } from '../../checkpoint/open-file.js'
import {
  type Contents,
  type Entry,
  headerFields,
  headerLength,
  headerOf,
  lengthBytes,
  parseHeader,
} from '../../checkpoint/safetensors.js'
import { VggError } from '../../error.js'
import { makeFolder, writeAtomically } from '../../files/atomic-file.js'
import { exists } from '../../files/not-found.js'
import { readRegularFile } from '../../files/regular-file.js'
import { isObject, unexpected } from '../../options.js'
import { type JsonLimits, parsedJson } from '../../untrusted.js'
import { bytesOf, headerLimits } from '../containers/safetensors.js'
import type { ForeignTensor } from '../containers/weight-file.js'
import type { FetchOptions, FileDetails, Repository } from './repository.js'
import type { Transport, Version } from './transport.js'
import { checkSpace, type RepositoryFile } from './whole-file.js'

/** Chooses the tensors to fetch. @returns names of some of `tensors` */
export type Choose = (tensors: readonly ForeignTensor[]) => readonly string[]

/** Tensors of a file on the hub, in a safetensors file on this machine. */
export interface Part {
  readonly path: string
  /** The bytes of the file on the hub, as in HTTP: '2818-58861677'. */
  readonly ranges: string
}

/** The header of a file on the hub, and what is known of the file. It is kept in our cache. */
interface Index extends FileDetails {
  readonly json: string
  readonly version: Version
}

/** Limits of a kept index: a header as a text, and a few fields. */
const indexLimits: JsonLimits = { bytes: 4 * headerLimits.bytes, depth: 4, values: 1000, keys: 1000 }

/** Bytes that are read first, which hold the header of most files. */
const firstBytes = 4096

/**
 * Fetches the chosen tensors of a safetensors file into our cache.
 * @returns undefined if the whole file is needed: for all tensors, and for our own files, which are verified as a whole
 * @throws FILE_FORMAT, and the errors of `choose`, before a tensor is fetched; DOWNLOAD_FAILED, FILE_NOT_FOUND, FILE_WRITE,
 *   ABORTED; NoRange, Changed
 */
export async function fetchPart(
  repository: Repository,
  wanted: RepositoryFile,
  choose: Choose,
  options: FetchOptions,
): Promise<Part | undefined> {
  const index = (await keptIndex(repository, wanted)) ?? (await fetchIndex(repository, wanted))
  const { start, contents } = parsed(index, repository, wanted)
  const chosen = chosenEntries(contents.tensors, choose)
  if (chosen.length === contents.tensors.length || contents.metadata.format === format) return undefined
  const spans = merged(chosen.map(({ begin, end }) => ({ begin: start + begin, end: start + end })))
  const ranges = spans.map(({ begin, end }) => `${begin}-${end - 1}`).join(',')
  const key = createHash('sha256').update(`${index.hash} ${ranges}`).digest('hex').slice(0, 32)
  const part = path.join(repository.parts.folder, 'parts', `${key}.safetensors`)
  if (await exists(part)) return { path: part, ranges }
  if (repository.environment.offline) throw repository.notCached(wanted.file)

  const header = headerOf(packed(chosen), { ...contents.metadata, ...described(repository, wanted, index, ranges) })
  const total = spans.reduce((sum, { begin, end }) => sum + end - begin, 0)
  const fetched = async function* (): AsyncGenerator<Uint8Array> {
    yield header
    let received = 0
    for (const span of spans) {
      const whole = { size: index.size, whole: 'refuse' } as const
      const url = repository.url(wanted.commit, wanted.file)
      for await (const bytes of repository.transport.bytes(url, { ...span, ...whole }, { ...index.version })) {
        received += bytes.length
        yield bytes
        options.onProgress?.({ received, total })
      }
    }
  }
  await makeFolder(path.dirname(part))
  await checkSpace(path.dirname(part), header.length + total)
  await writeAtomically(part, fetched())
  return { path: part, ranges }
}

/** Forgets the header of a file, which is fetched again then. */
export const forgetIndex = ({ parts }: Repository, { commit, file }: RepositoryFile): Promise<void> =>
  rm(parts.pathOf(commit, file), { force: true })

/** The metadata of a part. */
function described(
  { environment, uri }: Repository,
  { commit, file }: RepositoryFile,
  { hash, size }: Index,
  ranges: string,
): Record<string, string> {
  return {
    'hub.endpoint': environment.endpoint,
    'hub.repository': uri.repository,
    'hub.revision': commit,
    'hub.file': file,
    'hub.ranges': ranges,
    'hub.whole': `${size} bytes with the hash ${hash}, which was not checked: only these ranges were fetched`,
  }
}

async function keptIndex({ parts }: Repository, { commit, file }: RepositoryFile): Promise<Index | undefined> {
  const text = await readRegularFile(parts.pathOf(commit, file), indexLimits.bytes).catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const index = parsedJson(text, indexLimits)
    const known = isObject(index) && typeof index.json === 'string' && typeof index.hash === 'string'
    return known && Number.isSafeInteger(index.size) && isObject(index.version)
      ? (index as unknown as Index)
      : undefined
  } catch {
    // it is fetched again
    return undefined
  }
}

async function fetchIndex(repository: Repository, { commit, file }: RepositoryFile): Promise<Index> {
  const { parts, transport, environment } = repository
  if (environment.offline) throw repository.notCached(file)
  const details = await repository.details(commit, file)
  const { size } = details
  const [url, version]: [string, Version] = [repository.url(commit, file), {}]
  const first = await received(transport, url, { begin: 0, end: Math.min(firstBytes, size), size }, version)
  const end =
    lengthBytes + inFile(repository, file, () => headerLength(first.subarray(0, lengthBytes), size, headerLimits))
  const rest = await received(transport, url, { begin: Math.min(first.length, end), end, size }, version)
  const bytes = Buffer.concat([first, rest]).subarray(lengthBytes, end)
  const json = inFile(repository, file, () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  const index = { ...details, version, json }
  parsed(index, repository, { commit, file })
  const kept = parts.pathOf(commit, file)
  await makeFolder(path.dirname(kept))
  await writeAtomically(kept, [Buffer.from(JSON.stringify(index))])
  return index
}

async function received(
  transport: Transport,
  url: string,
  span: { readonly begin: number; readonly end: number; readonly size: number },
  version: Version,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const bytes of transport.bytes(url, { ...span, whole: 'refuse' }, version)) chunks.push(bytes)
  return Buffer.concat(chunks)
}

/** The header, and the position of the first tensor's bytes in the file. @throws FILE_FORMAT */
function parsed(
  { json, size }: Index,
  repository: Repository,
  { file }: RepositoryFile,
): { readonly start: number; readonly contents: Contents<Entry<string>> } {
  const bytes = new TextEncoder().encode(json)
  const start = lengthBytes + bytes.length
  return {
    start,
    contents: inFile(repository, file, () => parseHeader(headerFields(bytes, headerLimits), size - start, bytesOf)),
  }
}

/** Does `work` on a header, whose errors name the file. */
function inFile<T>({ uri }: Repository, file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const message = cause instanceof VggError ? cause.message : 'its header is not UTF-8'
    throw new VggError('FILE_FORMAT', `${file} of '${uri.repository}': ${message}`, { cause })
  }
}

function chosenEntries(tensors: readonly Entry<string>[], choose: Choose): readonly Entry<string>[] {
  const names = new Set(choose(tensors.map(({ name, shape, dtype }) => ({ name, shape, type: dtype }))))
  const chosen = tensors.filter(({ name }) => names.has(name))
  if (chosen.length === names.size && chosen.length > 0) return chosen
  throw unexpected('names of tensors in the file', 'the chosen tensors', [...names])
}

/** The entries as they lie in a file of their own. */
function packed(entries: readonly Entry<string>[]): readonly Entry<string>[] {
  let end = 0
  return entries.map((entry) => {
    const begin = end
    end += entry.end - entry.begin
    return { ...entry, begin, end }
  })
}

interface Range {
  readonly begin: number
  readonly end: number
}

/** Ranges in their order, neighbours as one. */
function merged(ranges: readonly Range[]): readonly Range[] {
  const result: Range[] = []
  for (const range of ranges.filter(({ begin, end }) => end > begin)) {
    const last = result.at(-1)
    if (last?.end === range.begin) result[result.length - 1] = { begin: last.begin, end: range.end }
    else result.push(range)
  }
  return result
}
