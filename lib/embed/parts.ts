// The folder of unfinished features, FILE.parts: what they depend on, and a file for each part that is finished.
import { createHash } from 'node:crypto'
import { readdir, rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { tidy } from '../checkpoint/checkpoint-folder.js'
import { checksumsOf, encodeWithChecksums, Verification } from '../checkpoint/checksum.js'
import { decode, tensorBytes, textLimits } from '../checkpoint/safetensors.js'
import { messageOf, VggError } from '../error.js'
import { checkNoLinks, makeFolder, writeAtomically } from '../files/atomic-file.js'
import { type FolderLock, lockFolder } from '../files/folder-lock.js'
import { exists } from '../files/not-found.js'
import { readRegularFile } from '../files/regular-file.js'
import { arrayOf, integer, isObject, objectOf, text } from '../options.js'
import { differencesBetween } from '../train/fingerprint.js'
import { parsedJson } from '../untrusted.js'
import type { Part, PartFeatures } from './embedder.js'

const factsName = 'embedding.json'

/** Most bytes of a part: its features take at most 128 MB unless one pass has more. */
const mostBytes = 2 ** 32

const partName = (number: number): string => `part-${String(number).padStart(6, '0')}.safetensors`

const recordCheck = objectOf({
  identity: text,
  unreadable: arrayOf(
    objectOf({
      position: integer(0),
      index: integer(0),
      name: (value) => String(value),
      reason: (value) => String(value),
    }),
  ),
})

/** The finished parts of features that are being computed. Only the holder of its lock writes to the folder. */
export class PartFolder {
  readonly folder: string
  readonly #lock: FolderLock
  /** Hash of everything that the parts depend on besides the images. */
  readonly #key: string

  private constructor(folder: string, lock: FolderLock, key: string) {
    this.folder = folder
    this.#lock = lock
    this.#key = key
  }

  /**
   * Opens the folder of a file of features, and creates it if it does not exist.
   * @param facts what the features depend on besides the images: plain data
   * @throws RESUME_MISMATCH if the parts in it depend on something else; FOLDER_IN_USE, FILE_WRITE, FILE_FORMAT
   */
  static async open(file: string, facts: object): Promise<PartFolder> {
    const folder = `${file}.parts`
    await makeFolder(folder)
    const lock = await lockFolder(folder)
    try {
      await tidy(folder)
      await tidy(path.dirname(file), [`${path.basename(file)}.`])
      const recorded = path.join(folder, factsName)
      const json = JSON.stringify(facts)
      if (await exists(recorded)) checkSame(facts, await readFacts(recorded), folder)
      else await writeAtomically(recorded, [Buffer.from(`${json}\n`)])
      return new PartFolder(folder, lock, createHash('sha256').update(json).digest('hex'))
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** The features of a part, if they were finished and its images are the same; undefined if they are to be computed. */
  async read(number: number, part: Part, rowLength: number): Promise<PartFeatures | undefined> {
    const file = path.join(this.folder, partName(number))
    if (!(await exists(file))) return undefined
    const identity = await this.#identity(part)
    // a part that is damaged is computed again
    const found = await readPart(file, part, rowLength).catch(() => undefined)
    return found?.identity === identity ? found : undefined
  }

  /** Computes a part and writes it. Images that change meanwhile are computed again by the next run. */
  async write(number: number, part: Part, compute: () => Promise<PartFeatures>): Promise<PartFeatures> {
    const identity = await this.#identity(part)
    const found = await compute()
    const { indices, features, unreadable } = found
    await this.#lock.check()
    const length = indices.length === 0 ? 0 : features.length / indices.length
    const infos = [
      { name: 'features', dtype: 'F32', shape: [indices.length, length] },
      { name: 'indices', dtype: 'I32', shape: [indices.length] },
    ] as const
    const data = new Map<string, Float32Array | Int32Array>(Object.entries({ features, indices }))
    const parts = await encodeWithChecksums(infos, data, { part: JSON.stringify({ identity, unreadable }) })
    const file = path.join(this.folder, partName(number))
    await checkNoLinks([file])
    await writeAtomically(file, parts)
    return found
  }

  /** Reads the features of a part that is finished. @throws FILE_FORMAT */
  async rows(number: number, part: Part, rowLength: number): Promise<Float32Array> {
    return (await readPart(path.join(this.folder, partName(number)), part, rowLength)).features
  }

  close(): Promise<void> {
    return this.#lock.release()
  }

  /** Removes the folder, once the features are in their file. Files of others in it stay. */
  async remove(): Promise<void> {
    for (const name of await readdir(this.folder))
      if (/^part-\d+\.safetensors$/.test(name)) await rm(path.join(this.folder, name), { force: true })
    // last, so that what is left after a kill is known
    await rm(path.join(this.folder, factsName), { force: true })
    await this.#lock.release()
    await rmdir(this.folder).catch(() => undefined)
  }

  async #identity({ source, first, count }: Part): Promise<string> {
    return createHash('sha256')
      .update(`${this.#key} ${await source.identity(first, count)}`)
      .digest('hex')
  }
}

async function readFacts(file: string): Promise<object> {
  try {
    const facts = parsedJson(await readRegularFile(file, textLimits.bytes), textLimits)
    if (isObject(facts)) return facts
    throw new VggError('FILE_FORMAT', 'it is no object')
  } catch (cause) {
    const message = `Could not read ${file}: ${messageOf(cause)}; remove the folder to begin again`
    throw new VggError('FILE_FORMAT', message, { cause })
  }
}

/** @throws RESUME_MISMATCH, with the differences */
function checkSame(now: object, before: object, folder: string): void {
  const differences = differencesBetween(now, before)
  if (differences.length === 0) return
  const cure = `remove ${folder} to begin again, or give another file`
  const message = `Expected the features to continue as they began, but ${differences.join('; ')}; ${cure}`
  throw new VggError('RESUME_MISMATCH', message)
}

async function readPart(
  file: string,
  { first, count }: Part,
  rowLength: number,
): Promise<PartFeatures & { readonly identity: string }> {
  const damaged = (message: string): VggError => new VggError('FILE_FORMAT', `${file} is damaged: ${message}`)
  const contents = decode(await readRegularFile(file, mostBytes))
  const verification = new Verification(checksumsOf(contents))
  let begin = 0
  for (const { data, ...info } of contents.tensors) {
    verification.add(tensorBytes({ ...info, begin, end: begin + data.byteLength }, data))
    verification.finish(info.name)
    begin += data.byteLength
  }
  const record = recordCheck(parsedJson(contents.metadata.part ?? '', textLimits), 'part')
  const [features, indices] = ['features', 'indices'].map(
    (name) => contents.tensors.find((tensor) => tensor.name === name)?.data,
  )
  if (!(features instanceof Float32Array) || !(indices instanceof Int32Array)) throw damaged('it has no features')
  const isOf = (index: number, at: number): boolean =>
    index >= first && index < first + count && (at === 0 || index > (indices[at - 1] ?? 0))
  if (!indices.every(isOf) || features.length !== indices.length * rowLength) throw damaged('it has other images')
  return { ...record, features, indices }
}
