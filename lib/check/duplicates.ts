import type { Dataset } from '../data/dataset.js'
import { countedText } from '../table.js'
import { contentsOf, type ImageFiles } from './file-contents.js'
import type { Finding } from './verdict.js'

/** An image that is in both parts. */
export interface SharedImage {
  /** Its name among the training images. */
  readonly training: string
  /** Its name among the validation images. */
  readonly validation: string
}

/** Images of one content that are said to be of different classes. */
export interface ContradictoryImages {
  /** What they are called. */
  readonly names: readonly string[]
  /** The class of each. */
  readonly classes: readonly string[]
}

/** Equal images. Lists hold the first 50; the counts are whole. */
export interface DuplicateReport {
  /** What was compared: the bytes of the files, or the pixels as the net sees them. */
  readonly compared: 'files' | 'pixels'
  /** Images compared, and how many there are. */
  readonly images: number
  /** How many there are. */
  readonly of: number
  /** Validation images that are training images as well. */
  readonly shared: readonly SharedImage[]
  /** How many in all. */
  readonly sharedCount: number
  /** Equal images of several classes: the first 50. */
  readonly contradictory: readonly ContradictoryImages[]
  /** How many in all. */
  readonly contradictoryCount: number
  /** Training images that repeat another of the same class. */
  readonly repeated: number
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

const listed = 50

/** One part, with what tells its images apart. */
export interface PartContents {
  readonly data: Dataset
  /** By the images' numbers; undefined where an image was not compared or equals none. */
  readonly contents: ReadonlyMap<number, string>
  /** Images that were compared. */
  readonly images: number
  readonly files: ImageFiles | undefined
}

/** The contents of the files of both parts. */
export async function fileContents(
  parts: readonly ImageFiles[],
  signal: AbortSignal | undefined,
  onDone: (done: number, of: number) => void,
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

/** Numbers of the images of each content. */
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
    const which = `${pair.validation}${pair.validation === pair.training ? '' : `, which is ${pair.training}`}`
    const text = `${countedText(sharedCount, 'validation image is', 'validation images are')} in the training data as well, the first ${which}: the accuracy will be told too high`
    findings.push({ severity: 'warning', text })
  }
  const [group] = contradictory
  if (group !== undefined) {
    const first = group.names.map((name, position) => `${name} (${group.classes[position]})`).slice(0, 4)
    const text = `${countedText(contradictoryCount, 'training image is', 'training images are')} there under more than one class, the first: ${first.join(', ')}`
    findings.push({ severity: 'warning', text })
  }
  return findings
}
