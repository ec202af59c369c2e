import path from 'node:path'
import { bestName, tidy } from '../checkpoint/checkpoint-folder.js'
import { runNames, useBest } from '../checkpoint/model-folder.js'
import { runFileLimits } from '../data/sources/runs.js'
import { messageOf, VggError } from '../error.js'
import { makeFolder, systemCode, writeAtomically } from '../files/atomic-file.js'
import { readRegularFile } from '../files/regular-file.js'
import { parsedJson } from '../files/untrusted.js'
import type { RunOptions } from '../network/open.js'
import { type Checks, integer, isObject, objectOf, optional, readOptions, text } from '../options.js'
import { otherFormat } from '../platform/package.js'
import { checksIn } from '../train/options.js'
import type { VGG } from '../vgg/vgg.js'
import { load } from '../weights/load.js'
import { complete, descriptionChecks, type RunDescription } from './description.js'
import { noRun } from './no-run.js'
import { type PlanName, type PlanStage, planName, stagesOf } from './plan.js'

/** Paths of the files in the folder of a run. */
export const runFiles = (folder: string) => ({
  description: path.join(folder, 'run.json'),
  log: path.join(folder, 'log.jsonl'),
  checkpoints: path.join(folder, runNames.checkpoints),
  best: path.join(folder, runNames.checkpoints, bestName),
  model: path.join(folder, runNames.model),
  report: path.join(folder, 'report.html'),
})

/** Content of run.json, which is written once, before any other file of the run. */
export interface RunFile {
  /** Version of the format; a newer one is refused. */
  readonly format: 1
  /** Version of the package that created the run. */
  readonly vggnet: string
  /** Training plan of the paper, if one was chosen. */
  readonly plan?: PlanName | undefined
  /** Description of the run; with `start.from` completed by the values of that model. */
  readonly description: RunDescription
}

/**
 * Older versions recorded options of the network together with `start.from` that had no effect except on S of the plan `paper`.
 * Such runs continue as they were created: with the model's own values.
 */
function withoutIgnored(file: RunFile): RunFile {
  const { plan, description } = file
  const { start } = description
  if (start.from === undefined || start.lastLayer !== undefined) return file
  const [stage] = plan === 'paper' ? stagesOf(plan, description, String) : []
  return { ...file, description: { ...(stage?.description ?? description), model: {} } }
}

/** run.json keeps the first name of the rate factors, `rates`. */
function encodeRunFile({ description, ...file }: RunFile): string {
  const { rateFactors: rates, ...others } = description
  return `${JSON.stringify({ ...file, description: { ...others, rates } }, null, 2)}\n`
}

const { rateFactors: rates, training: _, ...others } = descriptionChecks
const training = objectOf<Checks>({ ...checksIn('training'), epochs: integer(1), batch: integer(1) })

const fileChecks = {
  format: integer(1, 1),
  vggnet: text,
  plan: optional(planName),
  description: objectOf<Checks>({ ...others, training, rates }),
}

/** @throws INVALID_ARGUMENT with the path of the key */
function decodeRunFile(read: unknown): RunFile {
  if (isObject(read) && typeof read.format === 'number' && read.format !== 1)
    throw new Error(otherFormat('format 1', read.format, read.vggnet))
  readOptions(read, 'the description of a run', fileChecks)
  const file = read as RunFile & { readonly description: { readonly rates: RunDescription['rateFactors'] } }
  const { rates: rateFactors, ...description } = file.description
  return withoutIgnored({ ...file, description: complete({ ...description, rateFactors }) })
}

/** Removes what writers of the run's own files left when they were killed. The caller holds the folder's lock. */
export const tidyRun = (folder: string): Promise<void> => {
  const { description, log, model } = runFiles(folder)
  return tidy(
    folder,
    [description, log, model].map((file) => path.basename(file)),
  )
}

/** Creates the folder of a run with its run.json. @throws FILE_WRITE */
export async function writeRunFile(folder: string, file: RunFile): Promise<void> {
  await makeFolder(folder)
  await writeAtomically(runFiles(folder).description, [new TextEncoder().encode(encodeRunFile(file))])
}

/** The content of run.json in the folder of a run. @throws FILE_NOT_FOUND, FILE_FORMAT */
export async function readRunFile(folder: string): Promise<RunFile> {
  const { description: file } = runFiles(folder)
  const text = await readRegularFile(file, runFileLimits.bytes).catch(async (cause) => {
    if (cause instanceof VggError) throw cause
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '')) throw await noRun(folder, cause)
    throw new VggError('FILE_FORMAT', `Could not read ${file}: ${messageOf(cause)}`, { cause })
  })
  try {
    return decodeRunFile(parsedJson(text, runFileLimits))
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `${file}: ${messageOf(cause)}`, { cause })
  }
}

/** The trainings of a run: one, or those of its plan. */
export function trainingsOf(folder: string, { plan, description }: Pick<RunFile, 'plan' | 'description'>): PlanStage[] {
  if (plan === undefined) return [{ name: '.', description }]
  return stagesOf(plan, description, (name) => runFiles(path.join(folder, name)).model)
}

/** A model of a run and the path of its file. */
export interface LoadedModel {
  readonly net: VGG
  readonly path: string
}

/** Loads the model that {@link useBest} finds. @throws errors of `load` */
export async function loadBest(folder: string, options: RunOptions): Promise<LoadedModel | undefined> {
  const found = await useBest(folder, (file) => load(file, options))
  return found && { net: found.value, path: found.file.path }
}
