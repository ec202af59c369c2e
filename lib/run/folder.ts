import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { load } from '../checkpoint/checkpoint.js'
import { bestName } from '../checkpoint/checkpoint-folder.js'
import { runNames, useBest } from '../checkpoint/model-folder.js'
import { VggError } from '../error.js'
import { makeFolder, writeAtomically } from '../files/atomic-file.js'
import type { RunOptions } from '../network/open.js'
import { isObject } from '../options.js'
import { otherFormat } from '../platform/package.js'
import type { VGG } from '../vgg/vgg.js'
import type { RunDescription } from './description.js'
import { noRun } from './no-run.js'
import { type PlanName, type PlanStage, stagesOf } from './plan.js'

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

const sections = ['data', 'photographs', 'model', 'start', 'training', 'checkpoints', 'device'] as const

/** Checks that the sections of a description exist; their values are checked where they are used. */
function checkSections(description: Record<string, unknown>): void {
  const missing = sections.find((name) => !isObject(description[name]))
  if (missing !== undefined) throw new Error(`its description has no ${missing}`)
  const texts = { ...(description.data as object), ...(description.start as object) }
  const wrong = Object.entries(texts).find(([, value]) => typeof value !== 'string')
  if (wrong !== undefined) throw new Error(`its description has ${JSON.stringify(wrong[1])} for ${wrong[0]}`)
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

function decodeRunFile(read: unknown): RunFile {
  if (!isObject(read) || !isObject(read.description)) throw new Error('it describes no run')
  if (read.format !== 1) throw new Error(otherFormat('format 1', read.format, read.vggnet))
  checkSections(read.description)
  const { rates: rateFactors, ...others } = read.description
  return withoutIgnored({ ...read, description: { ...others, rateFactors } } as unknown as RunFile)
}

/** Creates the folder of a run with its run.json. @throws FILE_WRITE */
export async function writeRunFile(folder: string, file: RunFile): Promise<void> {
  await makeFolder(folder)
  await writeAtomically(runFiles(folder).description, [new TextEncoder().encode(encodeRunFile(file))])
}

/** The content of run.json in the folder of a run. @throws FILE_NOT_FOUND, FILE_FORMAT */
export async function readRunFile(folder: string): Promise<RunFile> {
  const { description: file } = runFiles(folder)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw await noRun(folder, cause)
  }
  try {
    return decodeRunFile(JSON.parse(text))
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `${file}: ${(cause as Error).message}`, { cause })
  }
}

/** The trainings of a run: one, or those of its plan. */
export function trainingsOf(folder: string, { plan, description }: RunFile): PlanStage[] {
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
