import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { Dataset } from '../data/dataset.js'
import { throwIfAborted } from '../error.js'
import { openRegularFile } from '../files/regular-file.js'
import type { Callback } from '../options.js'
import { countedText, longestName, printable } from '../table.js'
import type { Finding } from './findings.js'

/** An image that is in both the training and the validation data. */
export interface SharedImage {
  /** Name of the training image. */
  readonly training: string
  /** Name of the validation image. */
  readonly validation: string
}

/** Equal images with different labels. */
export interface ContradictoryImages {
  /** Names of the images. */
  readonly names: readonly string[]
  /** Class of each image. */
  readonly classes: readonly string[]
}

/** Equal images. Lists hold the first 50; counts cover all. */
export interface DuplicateReport {
  /** Whether the bytes of the files were compared, or the pixels as the network receives them. */
  readonly compared: 'files' | 'pixels'
  /** Number of images compared. */
  readonly images: number
  /** Number of images in the data. */
  readonly of: number
  /** Validation images that are also training images: the first 50. */
  readonly shared: readonly SharedImage[]
  /** Number of validation images that are also training images. */
  readonly sharedCount: number
  /** Groups of equal training images of several classes: the first 50. */
  readonly contradictory: readonly ContradictoryImages[]
  /** Number of such groups. */
  readonly contradictoryCount: number
  /** Number of training images that repeat another of the same class. */
  readonly repeated: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

const listed = 50

/** One part of the data, with a digest of each image's content. */
export interface PartContents {
  readonly data: Dataset
  /** Digests by image index; an image that was not compared, or equals no other, has none. */
  readonly contents: ReadonlyMap<number, string>
  /** Number of images compared. */
  readonly images: number
  readonly files: ImageFiles | undefined
}

/** Digests of the files of each part, by image index. @throws VggError ABORTED */
export async function fileContents(
  parts: readonly ImageFiles[],
  signal: AbortSignal | undefined,
  onDone: OnDone,
): Promise<ReadonlyMap<number, string>[]> {
  const sources = parts.flatMap((part) => [...part.sources])
  const found = await contentsOf(sources, signal, onDone)
  let start = 0
  return parts.map(({ sources }) => {
    const own = found.slice(start, start + sources.length)
    start += sources.length
    return new Map(own.flatMap((content, index) => (content === undefined ? [] : [[index, content] as const])))
  })
}

const nameIn = ({ files, data }: PartContents, index: number): string =>
  files?.names[index] ?? data.nameOf?.(index) ?? String(index)

/** Indices of the images by digest. */
function byContent({ contents }: PartContents): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const [index, content] of contents) {
    const group = groups.get(content)
    if (group === undefined) groups.set(content, [index])
    else group.push(index)
  }
  return groups
}

/** Finds images that are in both parts, and equal training images of different classes. */
export function duplicatesIn(training: PartContents, validation: PartContents | undefined): DuplicateReport {
  const groups = byContent(training)
  const shared: SharedImage[] = []
  for (const [index, content] of validation?.contents ?? []) {
    const [first] = groups.get(content) ?? []
    if (validation === undefined || first === undefined) continue
    shared.push({ training: nameIn(training, first), validation: nameIn(validation, index) })
  }
  const contradictory: ContradictoryImages[] = []
  let repeated = 0
  for (const group of groups.values()) {
    const classes = group.map((index) => training.data.labels[index] ?? -1)
    repeated += group.length - new Set(classes).size
    if (new Set(classes).size < 2) continue
    const names = group.map((index) => nameIn(training, index))
    contradictory.push({ names, classes: classes.map((label) => training.data.classNames[label] ?? String(label)) })
  }
  const report = {
    compared: training.files === undefined ? ('pixels' as const) : ('files' as const),
    images: training.images + (validation?.images ?? 0),
    of: training.data.count + (validation?.data.count ?? 0),
    shared: shared.slice(0, listed),
    sharedCount: shared.length,
    contradictory: contradictory.slice(0, listed),
    contradictoryCount: contradictory.length,
    repeated,
  }
  return { ...report, findings: findingsOf(report) }
}

function findingsOf(report: Omit<DuplicateReport, 'findings'>): Finding[] {
  const { shared, sharedCount, contradictory, contradictoryCount } = report
  const findings: Finding[] = []
  const [pair] = shared
  if (pair !== undefined) {
    const [held, known] = [pair.validation, pair.training].map((name) => printable(name, longestName.file))
    const which = `${held}${pair.validation === pair.training ? '' : `, which is ${known}`}`
    const text = `${countedText(sharedCount, 'validation image is', 'validation images are')} also in the training data, the first ${which}: the reported accuracy will be too high`
    findings.push({ severity: 'warning', text })
  }
  const [group] = contradictory
  if (group !== undefined) {
    const first = group.names
      .map(
        (name, index) =>
          `${printable(name, longestName.file)} (${printable(group.classes[index] ?? '', longestName.class)})`,
      )
      .slice(0, 4)
    const text = `${countedText(contradictoryCount, 'training image appears', 'training images appear')} under more than one class, the first: ${first.join(', ')}`
    findings.push({ severity: 'warning', text })
  }
  return findings
}

/** The files of a dataset, image by image, as `readFolder` and `readList` return them. */
export interface ImageFiles {
  /** Source of each image: a path, the encoded bytes, or a function that reads them. */
  readonly sources: readonly (string | Uint8Array | (() => Promise<Uint8Array>))[]
  /** Name of each image. */
  readonly names: readonly string[]
  /** Class index of each image. */
  readonly labels: Int32Array
}

/** Number of files open at once. */
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

// A pipe or a device has no content to compare, and opening it could block forever.
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? found.size : undefined
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64')

/** Bytes that are compared first, of files of one size: a hundredth of a typical dataset instead of all of it. */
const beginning = 2 ** 14

async function digestOfFile(path: string, end: number): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    const file = await openRegularFile(path)
    for await (const piece of file.createReadStream({ end })) hash.update(piece as Uint8Array)
    return hash.digest('base64')
  } catch {
    return undefined // reported when the images are decoded
  }
}

interface File {
  readonly index: number
  readonly path: string
  readonly size: number
}

/** The files that share their key with another; a file without a key equals none. */
function alike(files: readonly File[], keyOf: (file: File) => string | undefined): File[] {
  const holders = new Map<string | undefined, number>()
  for (const file of files) holders.set(keyOf(file), (holders.get(keyOf(file)) ?? 0) + 1)
  return files.filter((file) => keyOf(file) !== undefined && (holders.get(keyOf(file)) ?? 0) > 1)
}

/** Progress: files done, of all. */
type OnDone = Callback<[done: number, of: number]>

/**
 * A digest for each source that may equal another; undefined for the others and for files that cannot be read. Files
 * are compared by size, then by their first 16 KiB; only those that are still equal are read whole. Where some images
 * are in memory, all files are read whole.
 * @throws VggError ABORTED
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
    if (position % 1000 === 0) await onDone?.(files.length - sameSize.length + position, files.length)
  })
  return alike(sameSize, ({ index }) => beginnings.get(index))
}
