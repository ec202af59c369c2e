import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { throwIfAborted } from '../error.js'

/** The files behind a dataset, image by image: what `readFolder` and `readList` find. */
export interface ImageFiles {
  /** Paths, encoded images, or what reads them. */
  readonly sources: readonly (string | Uint8Array | (() => Promise<Uint8Array>))[]
  /** What each is called. */
  readonly names: readonly string[]
  /** The class of each. */
  readonly labels: Int32Array
}

/** Files that are open at once. */
const atOnce = 8

async function eachOf(count: number, signal: AbortSignal | undefined, task: (index: number) => Promise<void>) {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      throwIfAborted(signal, 'The check')
      await task(next++)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
}

// A pipe or a device has no content to compare, and opening it could wait for ever.
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? found.size : undefined
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64')

/** What files of one size are first told apart by: a hundredth of a data set is read instead of all of it. */
const beginning = 2 ** 14

async function digestOfFile(path: string, end: number): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { end })) hash.update(piece as Uint8Array)
    return hash.digest('base64')
  } catch {
    return undefined // the reading of the images says what is wrong with it
  }
}

interface File {
  readonly index: number
  readonly path: string
  readonly size: number
}

/** The files that are alike by what is known of them. */
function alike(files: readonly File[], keyOf: (file: File) => string | undefined): File[] {
  const holders = new Map<string | undefined, number>()
  for (const file of files) holders.set(keyOf(file), (holders.get(keyOf(file)) ?? 0) + 1)
  return files.filter((file) => keyOf(file) !== undefined && (holders.get(keyOf(file)) ?? 0) > 1)
}

/** For what is going on: files done, of those that there are. */
type OnDone = (done: number, of: number) => void

/**
 * What tells contents apart, for each file that may equal another; undefined for the others, and for what cannot be
 * read. Files are compared by size, then by their beginnings, and only those that are equal so far are read whole, in
 * pieces and a few at once. Where some images are in memory, all files are read.
 * @throws ABORTED
 */
export async function contentsOf(
  sources: ImageFiles['sources'],
  signal?: AbortSignal,
  onDone?: OnDone,
): Promise<(string | undefined)[]> {
  const files: File[] = []
  const contents: (string | undefined)[] = Array.from(sources, () => undefined)
  await eachOf(sources.length, signal, async (index) => {
    const source = sources[index]
    if (typeof source === 'string') {
      const size = await sizeOf(source)
      if (size !== undefined) files.push({ index, path: source, size })
    } else if (source !== undefined) {
      contents[index] = await (typeof source === 'function' ? source().then(digest, () => undefined) : digest(source))
    }
  })
  const mixed = contents.some((content) => content !== undefined)
  const whole = mixed ? files : await alikeAtFirst(files, signal, onDone)
  await eachOf(whole.length, signal, async (position) => {
    const { index, path } = whole[position] as File
    contents[index] = await digestOfFile(path, Number.POSITIVE_INFINITY)
  })
  return contents
}

async function alikeAtFirst(files: readonly File[], signal: AbortSignal | undefined, onDone: OnDone | undefined) {
  const sameSize = alike(files, ({ size }) => String(size))
  const beginnings = new Map<number, string>()
  await eachOf(sameSize.length, signal, async (position) => {
    const { index, path, size } = sameSize[position] as File
    const begin = await digestOfFile(path, beginning - 1)
    if (begin !== undefined) beginnings.set(index, `${size} ${begin}`)
    if (position % 1000 === 0) onDone?.(files.length - sameSize.length + position, files.length)
  })
  return alike(sameSize, ({ index }) => beginnings.get(index))
}
