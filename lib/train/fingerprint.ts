import { createHash } from 'node:crypto'
import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import type { Network } from '../network/network.js'
import type { OpenedRun } from '../network/open.js'
import { isObject } from '../options.js'
import type { Precision } from '../platform/native-description.js'
import type { RecordedOptions } from './recorded-options.js'

/** What tells a dataset from another one without reading its images. */
export interface DataFacts {
  readonly count: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly classNames: readonly string[]
  /** See `digestOf`. */
  readonly digest: string
}

/** All that a training's arithmetic depends on besides its state: plain data. */
export interface Fingerprint {
  readonly network: OpenedRun & {
    /** SHA-256 of its description. */
    readonly layers: string
    readonly device: string
    readonly precision: Precision
    readonly deterministic: boolean
  }
  readonly data: DataFacts
  readonly validation: DataFacts | null
  readonly options: RecordedOptions
}

/** SHA-256 of the labels, and of the images' names where they have any. */
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
  const { device, precision, deterministic, run } = net
  const layers = createHash('sha256').update(JSON.stringify(net.layers)).digest('hex')
  return {
    network: { layers, device, precision, deterministic, ...run },
    data: factsOf(data),
    validation: validation === undefined ? null : factsOf(validation),
    options,
  }
}

/** Every leaf of plain data by its path; an array is a leaf, null is none. */
function leaves(value: unknown, path: string): [string, string][] {
  if (value === null) return []
  if (!isObject(value)) return [[path, JSON.stringify(value) ?? 'none']]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path} ${key}`))
}

const shown = (text: string | undefined): string =>
  text === undefined ? 'none' : text.length > 60 ? `${text.slice(0, 60)}...` : text

/** What differs, in words: `options batch is 8 and was 16`. */
export function differencesBetween(now: Fingerprint, before: Fingerprint): string[] {
  const [is, was] = [new Map(leaves(now, '')), new Map(leaves(before, ''))]
  // only this schedule looks at the end
  if (now.options.schedule.kind !== 'cosine' && before.options.schedule.kind !== 'cosine') {
    is.delete('options epochs')
    was.delete('options epochs')
  }
  const paths = new Set([...is.keys(), ...was.keys()])
  return [...paths]
    .filter((path) => is.get(path) !== was.get(path))
    .map((path) => `${path} is ${shown(is.get(path))} and was ${shown(was.get(path))}`)
}

/** @throws RESUME_MISMATCH, naming what differs */
export function checkSame(now: Fingerprint, before: Fingerprint): void {
  const differences = differencesBetween(now, before)
  if (differences.length === 0) return
  const cure = "with differences: 'accept' it goes on all the same, not bit for bit"
  const message = `Expected the training to go on as it began, but ${differences.join('; ')}; ${cure}`
  throw new VggError('RESUME_MISMATCH', message)
}
