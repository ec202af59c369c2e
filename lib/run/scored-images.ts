import { stat } from 'node:fs/promises'
import path from 'node:path'
import { modelsIn } from '../checkpoint/model-folder.js'
import { messageOf, VggError } from '../error.js'
import { exists } from '../files/not-found.js'
import { digestOf } from '../train/fingerprint.js'
import { recordedDigest } from '../train/load-training.js'
import type { DataDescription, RunDescription } from './description.js'
import { type RunFile, readRunFile, runFiles, trainingsOf } from './folder.js'
import { findSources, isList, type Sources } from './sources.js'

/** Part of the images, as in `vggnet evaluate --part`. */
export type PartName = 'training' | 'validation' | 'all'

/** Model and images of an evaluation. */
export interface AskedImages {
  /** Path of a model file, or of the folder of a run. */
  readonly model: string
  /** Data to score. Default: the data of the run. */
  readonly data?: DataDescription
  /** Expected class names of data that are not those of the run. */
  readonly classNames?: readonly string[]
  /** Action for a class folder without an image in data that are not those of the run. Default skip. */
  readonly emptyClasses?: 'refuse' | 'skip'
  /** Part of the data to score. Default: validation, if there is such a part. */
  readonly part?: PartName
}

/** Images to score a model on, with the number of those that the model was trained on. */
export interface ScoredImages {
  readonly sources: Sources
  readonly part: PartName
  /** The parts of `sources` that are scored. */
  readonly parts: readonly ('training' | 'validation')[]
  /** Origin of the images: `the validation part of the run's own data`. */
  readonly text: string
  /** Description of the run; undefined for a model file. */
  readonly run: RunDescription | undefined
  /** Whether the images are those of the run. */
  readonly own: boolean
  /** Number of scored images that the model is known to have been trained on. */
  readonly trainingImages: number
  /** Sentences on training images that are not known. Empty: all are known. */
  readonly unknown: readonly string[]
}

/**
 * Finds the images to score. The default part of a run's own data is the held-out images; of other data, their validation
 * part if they have one, else all images.
 *
 * @throws INVALID_ARGUMENT if there is no such part, or no data; FILE_FORMAT if the run's data have changed, so that the
 *   split of its training is lost; errors of finding the data
 */
export async function scoredImages(asked: AskedImages): Promise<ScoredImages> {
  await checkRoles(asked)
  const file = (await isRun(asked.model)) ? await readRunFile(asked.model) : undefined
  const run = file?.description
  const data = asked.data ?? run?.data
  if (data === undefined) {
    const message = `Expected data to score ${asked.model} on: a model file has none of its own, as the folder of a run has`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const own = run !== undefined && (asked.data === undefined || (await areSame(run.data, asked.data)))
  if (own) checkNames(run, asked.classNames)
  const { classNames, emptyClasses = 'skip' } = asked
  const other = {
    data,
    validation: 0,
    seed: 0,
    emptyClasses,
    leastClasses: 1 as const,
    ...(classNames && { classNames }),
  }
  const sources = await findSources(own ? run : other)
  const { part, parts } = partOf(sources, asked, own)
  // the split does not matter where all images are scored
  if (own && file && part !== 'all') await checkUnchanged(asked.model, file, sources)
  const text = `${part === 'all' ? 'all' : `the ${part} part`} of ${own ? "the run's own" : 'the'} data`
  const { ids, unknown } = run
    ? await trainedImages(asked.model, own ? sources : undefined)
    : { ids: new Set(), unknown: [`nothing is known about the images that ${asked.model} was trained on`] }
  const scored = ids.size === 0 ? [] : (await Promise.all(parts.map((name) => imageIds(sources, name)))).flat()
  const trainingImages = scored.filter((id) => ids.has(id)).length
  return { sources, part, parts, text, run, own, trainingImages, unknown }
}

const isRun = (folder: string): Promise<boolean> => exists(runFiles(folder).description)

/** Checks that model and data are not exchanged: other folders than those of runs, and lists, are data. */
async function checkRoles({ model, data }: AskedImages): Promise<void> {
  const found = await stat(model).catch(() => undefined)
  const isData = found?.isDirectory()
    ? (await modelsIn(model)).length === 0 && !(await isRun(model))
    : found !== undefined && isList(model)
  if (isData) {
    const message = `Expected a model file or the folder of a run for the model but ${model} is ${isList(model) ? 'a list of images' : 'a folder without run.json or checkpoints'}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  if (data?.kind !== 'folder' || !(await isRun(data.path))) return
  const message = `Expected a folder or a list of images for the data but ${data.path} is the folder of a run: one model is scored at a time`
  throw new VggError('INVALID_ARGUMENT', message)
}

/** Whether the data are a run's own; a validation part of the run may be left out. */
async function areSame(own: DataDescription, given: DataDescription): Promise<boolean> {
  const files = ({ kind, ...paths }: DataDescription): Record<string, string> => paths
  const named = Object.entries(files(given))
  if (own.kind !== given.kind) return false
  for (const [key, file] of named) {
    const its = files(own)[key]
    if (its === undefined || (await fileId(its)) !== (await fileId(file))) return false
  }
  return true
}

function checkNames({ classNames }: RunDescription, asked: readonly string[] | undefined): void {
  if (asked === undefined || JSON.stringify(asked) === JSON.stringify(classNames)) return
  const message = `Expected no other class names for the run's own data than it was trained with but received ${asked.join(', ')}`
  throw new VggError('INVALID_ARGUMENT', message)
}

function partOf(
  { validation }: Sources,
  { model, part: asked }: AskedImages,
  own: boolean,
): Pick<ScoredImages, 'part' | 'parts'> {
  const divided = validation !== undefined
  const part = asked ?? (own || divided ? 'validation' : 'all')
  if (part === 'all') return { part, parts: divided ? ['training', 'validation'] : ['training'] }
  if (divided || (own && part === 'training')) return { part, parts: [part] }
  const message = own
    ? `The run in ${model} held no images out for validation: score it on other data, or on those it was trained on with --part training`
    : `Expected data with a ${part} part for --part ${part} but the data have no parts`
  throw new VggError('INVALID_ARGUMENT', message)
}

/** The images that a model was trained on. */
interface TrainedImages {
  /** Identities from `imageIds`. */
  readonly ids: ReadonlySet<string>
  /** Sentences on training images that are not known. Empty: all are known. */
  readonly unknown: readonly string[]
}

/**
 * The images that the model of a run was trained on: those of the run, and of the runs whose models it started from.
 *
 * @param folder folder of the run
 * @param found the images of its data, if they have been found already
 */
async function trainedImages(folder: string, found?: Sources): Promise<TrainedImages> {
  const ids = new Set<string>()
  const unknown: string[] = []
  const passed = new Set<string>()
  let run: string | undefined = path.resolve(folder)
  try {
    for (let sources = found; run !== undefined && !passed.has(run); sources = undefined) {
      passed.add(run)
      const file: RunFile = await readRunFile(run)
      const { from, transplant } = file.description.start
      sources ??= await findSources(file.description)
      await checkUnchanged(run, file, sources)
      for (const id of await imageIds(sources, 'training')) ids.add(id)
      const model = from ?? transplant
      run = model && (await runOf(model))
      if (model && !run)
        unknown.push(`nothing is known about the images that ${model}, with which the run began, was trained on`)
    }
  } catch (error) {
    if (!(error instanceof VggError)) throw error
    unknown.push(`it is not known which images the run in ${run} was trained on: ${messageOf(error)}`)
  }
  return { ids, unknown }
}

/** The folder of the run that made a model, if the model is still in it. */
async function runOf(model: string): Promise<string | undefined> {
  const parent = path.dirname(model)
  const { checkpoints } = runFiles(path.dirname(parent))
  const folders = [model, parent, ...(parent === checkpoints ? [path.dirname(parent)] : [])]
  for (const folder of folders) if (await exists(runFiles(folder).description)) return folder
  return undefined
}

/**
 * Checks that the data of a run are unchanged since its training: other data would be split differently.
 * @throws FILE_FORMAT if the checkpoints of the run record other data
 */
async function checkUnchanged(folder: string, file: RunFile, sources: Sources): Promise<void> {
  const last = trainingsOf(folder, file).at(-1)?.name ?? '.'
  const recorded = await recordedDigest(runFiles(path.join(folder, last)).checkpoints)
  if (recorded === undefined) return
  const { training } = sources
  const named = 'names' in training ? { labels: training.labels, nameOf: nameIn(training.names) } : training
  if (digestOf(named) === recorded) return
  const message = `Expected the data of the run in ${folder} as they were in its training, but images or labels were added, removed or changed`
  throw new VggError('FILE_FORMAT', message)
}

const nameIn =
  (names: readonly string[]) =>
  (index: number): string =>
    names[index] ?? String(index)

/** Number of files whose identity is read at once. */
const atOnce = 256

/**
 * The identity of a file on this machine, whatever path, link or mount leads to it: device and inode. For a missing file,
 * its absolute path.
 */
async function fileId(file: string): Promise<string> {
  try {
    const { dev, ino } = await stat(file, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return path.resolve(file)
  }
}

/** The identities of the images of a part, equal for the same image of the same file. Opens no image. */
export async function imageIds(sources: Sources, part: 'training' | 'validation'): Promise<string[]> {
  if (sources.kind === 'fixed') {
    const origin = sources.origins[part]
    if (origin === undefined) return []
    const file = `${await fileId(origin.path)} ${origin.set ?? ''}`
    return Array.from(origin.indices, (index) => `${file} ${index}`)
  }
  // the names of image files are their paths
  const files = sources[part]?.names ?? []
  const ids: string[] = []
  for (let start = 0; start < files.length; start += atOnce) {
    ids.push(...(await Promise.all(files.slice(start, start + atOnce).map(fileId))))
  }
  return ids
}
