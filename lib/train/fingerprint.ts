import { createHash } from 'node:crypto'
import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import type { Group } from '../group/group.js'
import type { Network } from '../network/network.js'
import type { OpenedRun } from '../network/open.js'
import { isObject } from '../options.js'
import type { Precision } from '../platform/native-description.js'
import type { RecordedOptions } from './options.js'

/** Identity of a dataset that needs no image to be read. */
export interface DataFacts {
  readonly count: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly classNames: readonly string[]
  /** SHA-256 of labels and names, as `digestOf` computes it. */
  readonly digest: string
}

/** Everything that the results of a training depend on besides its state: plain data. */
export interface Fingerprint {
  readonly network: OpenedRun & {
    /** SHA-256 of the network's layers. */
    readonly layers: string
    readonly device: string
    readonly precision: Precision
    readonly deterministic: boolean
    /** Number of ranks, if there are several. */
    readonly ranks?: number | undefined
  }
  readonly data: DataFacts
  readonly validation: DataFacts | null
  readonly options: RecordedOptions
}

/** SHA-256 of the labels, and of the names of the images if they have names. */
export function digestOf(data: Pick<Dataset, 'labels' | 'nameOf'>): string {
  const hash = createHash('sha256').update(data.labels)
  if (data.nameOf !== undefined) {
    for (let index = 0; index < data.labels.length; index++) hash.update(`${data.nameOf(index)}\0`)
  }
  return hash.digest('hex')
}

function factsOf(data: Dataset): DataFacts {
  const { count, height, width, channels, classNames } = data
  return { count, height, width, channels, classNames: [...classNames], digest: digestOf(data) }
}

export function fingerprintOf(
  net: Network,
  data: Dataset,
  validation: Dataset | undefined,
  options: RecordedOptions,
): Fingerprint {
  const { device, precision, deterministic, run, group } = net
  const layers = createHash('sha256').update(JSON.stringify(net.layers)).digest('hex')
  return {
    network: { layers, device, precision, deterministic, ...run, ...(group && { ranks: group.size }) },
    data: factsOf(data),
    validation: validation === undefined ? null : factsOf(validation),
    options,
  }
}

/** The leaves of plain data with their paths; an array is one leaf, null is none. */
function leaves(value: unknown, path: string): [string, string][] {
  if (value === null) return []
  if (!isObject(value)) return [[path, JSON.stringify(value) ?? 'none']]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path} ${key}`))
}

const shown = (text: string | undefined): string =>
  text === undefined ? 'none' : text.length > 60 ? `${text.slice(0, 60)}...` : text

/**
 * The differences between two records of what results depend on, such as `options batch is 8 and was 16`.
 * @param ignored paths of leaves that may differ, such as `options epochs`
 */
export function differencesBetween(now: object, before: object, ignored: readonly string[] = []): string[] {
  const [is, was] = [new Map(leaves(now, '')), new Map(leaves(before, ''))]
  const paths = new Set([...is.keys(), ...was.keys()])
  return [...paths]
    .filter((path) => is.get(path) !== was.get(path) && !ignored.includes(path))
    .map((path) => `${path} is ${shown(is.get(path))} and was ${shown(was.get(path))}`)
}

/**
 * Checks that all ranks of a group train the same network on the same data with the same options; threads and kernel choices
 * may differ.
 * @throws GROUP_MISMATCH on all of them, with the differences of the first rank that has some
 */
export async function checkSameOnAll(group: Group, own: Fingerprint, trainingStep: number): Promise<void> {
  const { threads: _, tuning: __, ...network } = own.network
  const [first, ...others] = await group.gather({ ...own, network, trainingStep })
  for (const [index, other] of others.entries()) {
    const differences = first === undefined ? [] : differencesBetween(other, first)
    if (differences.length === 0) continue
    const names = `${group.nameOf(index + 1)} as on ${group.nameOf(0)}`
    throw new VggError('GROUP_MISMATCH', `Expected the same training on ${names}, but ${differences.join('; ')}`)
  }
}

/** @throws RESUME_MISMATCH, with the differences */
export function checkSame(now: Fingerprint, before: Fingerprint): void {
  // only the schedule cosine depends on the number of epochs
  const isCosine = [now, before].some(({ options }) => options.schedule.kind === 'cosine')
  const differences = differencesBetween(now, before, isCosine ? [] : ['options epochs'])
  if (differences.length === 0) return
  const fix = "differences: 'accept' continues all the same, not bit for bit"
  const message = `Expected the training to continue as it began, but ${differences.join('; ')}; ${fix}`
  throw new VggError('RESUME_MISMATCH', message)
}
