import { stat } from 'node:fs/promises'
import { VggError } from '../error.js'
import type { DataDescription, RunDescription } from './description.js'
import { exists, readRunFile, runFiles } from './folder.js'
import { fileId, imageIds } from './image-ids.js'
import { findSources, isList, type Sources } from './sources.js'
import { checkUnchanged, trainedImages } from './trained-images.js'

/** A part of the images, as `vggnet evaluate --part` names it. */
export type PartName = 'training' | 'validation' | 'all'

/** What is to be scored. */
export interface AskedImages {
  /** A model file, or the folder of a run. */
  readonly model: string
  /** Default: the data of the run. */
  readonly data?: DataDescription
  /** The classes expected in data that are not the run's own. */
  readonly classNames?: readonly string[]
  /** Default: validation, where there is such a part. */
  readonly part?: PartName
}

/** Images that a model is to be scored on, and what is known of its having learnt from them. */
export interface ScoredImages {
  readonly sources: Sources
  readonly part: PartName
  /** The parts of `sources` that are scored. */
  readonly parts: readonly ('training' | 'validation')[]
  /** Where they come from: `the validation part of the run's own data`. */
  readonly text: string
  /** What the run is made of; undefined for a model file. */
  readonly run: RunDescription | undefined
  /** Whether they are the run's own data. */
  readonly own: boolean
  /** Images scored that the model has learnt from, as far as that is known. */
  readonly trainingImages: number
  /** What is not known of that, a sentence each. Empty: all is known. */
  readonly unknown: readonly string[]
}

/**
 * Finds the images to be scored. Of the run's own data those that were held out, unless a part is asked for; of other
 * data their validation part where they have one, else all.
 *
 * @throws INVALID_ARGUMENT where there is no such part, or no data; FILE_FORMAT where the run's data have changed and the
 *   division of its training cannot be had; what finding the data throws
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
  const { classNames } = asked
  const other = { data, validation: 0, seed: 0, ...(classNames && { classNames }) }
  const sources = await findSources(own ? run : other)
  const { part, parts } = partOf(sources, asked, own)
  // to score all images the division need not be known
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

/** The folder of a run and a model file are models; other folders, and lists, are data. */
async function checkRoles({ model, data }: AskedImages): Promise<void> {
  const found = await stat(model).catch(() => undefined)
  const isData = found?.isDirectory() ? !(await isRun(model)) : found !== undefined && isList(model)
  if (isData) {
    const message = `Expected a model file or the folder of a run for the model but ${model} is ${isList(model) ? 'a list of images' : 'a folder without run.json'}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  if (data?.kind !== 'folder' || !(await isRun(data.path))) return
  const message = `Expected a folder or a list of images for the data but ${data.path} is the folder of a run: one model is scored at a time`
  throw new VggError('INVALID_ARGUMENT', message)
}

/** Whether data that are named are a run's own; a validation part of the run's own may go unnamed. */
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
