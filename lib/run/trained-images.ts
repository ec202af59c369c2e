import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { digestOf } from '../train/fingerprint.js'
import { recordedDigest } from '../train/recorded-data.js'
import { exists, type RunFile, readRunFile, runFiles } from './folder.js'
import { imageIds } from './image-ids.js'
import { trainingsOf } from './plan-run.js'
import { findSources, type Sources } from './sources.js'

/** The images that a model has learnt from. */
export interface TrainedImages {
  /** By `imageIds`. */
  readonly ids: ReadonlySet<string>
  /** What is not known of them, a sentence each. Empty: all are known. */
  readonly unknown: readonly string[]
}

/**
 * The images that the model of a run has learnt from: those of the run, and of the runs whose models it began with.
 *
 * @param folder of the run
 * @param found the images of its data, where they have been looked for already
 */
export async function trainedImages(folder: string, found?: Sources): Promise<TrainedImages> {
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

/** The folder of the run that made a model, where the model still lies in it. */
async function runOf(model: string): Promise<string | undefined> {
  const beside = path.dirname(model)
  const { checkpoints } = runFiles(path.dirname(beside))
  const folders = [model, beside, ...(beside === checkpoints ? [path.dirname(beside)] : [])]
  for (const folder of folders) if (await exists(runFiles(folder).description)) return folder
  return undefined
}

/**
 * Checks that a run's data are still what it was trained on: divided anew, other data give another division.
 * @throws FILE_FORMAT where the checkpoints of the run record other data
 */
export async function checkUnchanged(folder: string, file: RunFile, sources: Sources): Promise<void> {
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
