import { access, readFile } from 'node:fs/promises'
import path from 'node:path'
import { load, warn } from '../checkpoint/checkpoint.js'
import { checkpointsIn, firstUsable } from '../checkpoint/checkpoint-folder.js'
import { VggError } from '../error.js'
import type { RunOptions } from '../network/open.js'
import { isObject } from '../options.js'
import type { VGG } from '../vgg/vgg.js'
import type { RunDescription } from './description.js'
import { type PlanName, stagesOf } from './plan.js'

/** What lies in the folder of a run. */
export const runFiles = (folder: string) => ({
  description: path.join(folder, 'run.json'),
  log: path.join(folder, 'log.jsonl'),
  checkpoints: path.join(folder, 'checkpoints'),
  best: path.join(folder, 'checkpoints', 'best.safetensors'),
  model: path.join(folder, 'model.safetensors'),
  report: path.join(folder, 'report.html'),
})

/** run.json: what a run is made of, written once, before anything else. */
export interface RunFile {
  /** Of this file; a newer one is refused. */
  readonly format: 1
  /** Of the package that began it. */
  readonly vggnet: string
  /** The paper's way of training, where one was asked for. */
  readonly plan?: PlanName | undefined
  /** What was asked for; with `start.from` completed by what the model has. */
  readonly description: RunDescription
}

export async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

/** @throws INVALID_ARGUMENT where there is a run in the folder already */
export async function checkNew(folder: string): Promise<void> {
  if (!(await exists(runFiles(folder).description))) return
  const message = `Expected a new folder for the run but ${folder} holds one; 'vggnet train --resume ${folder}' goes on with it`
  throw new VggError('INVALID_ARGUMENT', message)
}

const sections = ['data', 'photographs', 'model', 'start', 'training', 'checkpoints', 'device'] as const

/** Throws where a part of a description is missing that is read before its values are checked where they are used. */
function checkSections(description: Record<string, unknown>): void {
  const missing = sections.find((name) => !isObject(description[name]))
  if (missing !== undefined) throw new Error(`its description has no ${missing}`)
  const texts = { ...(description.data as object), ...(description.start as object) }
  const wrong = Object.entries(texts).find(([, value]) => typeof value !== 'string')
  if (wrong !== undefined) throw new Error(`its description has ${JSON.stringify(wrong[1])} for ${wrong[0]}`)
}

/**
 * Runs that were begun before the network's options were checked against the model of `start.from` record options that
 * had no effect but on the S of the plan `paper`. They go on as they were begun: with the model's own values.
 */
function withoutIgnored(file: RunFile): RunFile {
  const { plan, description } = file
  const { start } = description
  if (start.from === undefined || start.lastLayer !== undefined) return file
  const [stage] = plan === 'paper' ? stagesOf(plan, description, String) : []
  return { ...file, description: { ...(stage?.description ?? description), model: {} } }
}

/** What the run in a folder is made of. @throws FILE_NOT_FOUND, FILE_FORMAT */
export async function readRunFile(folder: string): Promise<RunFile> {
  const { description: file } = runFiles(folder)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new VggError('FILE_NOT_FOUND', `There is no run in ${folder}: ${file} is missing`, { cause })
  }
  try {
    const read: unknown = JSON.parse(text)
    if (!isObject(read) || !isObject(read.description)) throw new Error('it describes no run')
    if (read.format !== 1) throw new Error(`it has the format ${read.format}, which needs another vggnet`)
    checkSections(read.description)
    return withoutIgnored(read as unknown as RunFile)
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `${file}: ${(cause as Error).message}`, { cause })
  }
}

/** The first of runs/1, runs/2, ... that is free. */
export async function freeFolder(): Promise<string> {
  for (let number = 1; ; number++) {
    const folder = path.join('runs', String(number))
    if (!(await exists(folder))) return folder
  }
}

/**
 * Uses the model of a run that is best on the validation data, else the last; undefined where there is none yet. One that
 * cannot be used is passed over for the next, with a warning of the process.
 * @throws what `use` throws for a file of a newer format, and where no file is to blame
 */
async function useBest<T>(folder: string, use: (file: string) => Promise<T>) {
  const { best, model, checkpoints } = runFiles(folder)
  const files = (await Promise.all([best, model].map(async (file) => ((await exists(file)) ? [file] : [])))).flat()
  const candidates = [...files.map((file) => ({ path: file })), ...(await checkpointsIn(checkpoints))]
  const { found, passedOver } = await firstUsable(candidates, use)
  for (const { path: file, reason } of passedOver) warn(`passed over ${file}: ${reason}`)
  return found
}

/** A model of a run, and the file that it was loaded from. */
export interface LoadedModel {
  readonly net: VGG
  readonly path: string
}

/** Loads the model of a run as {@link useBest} finds it. @throws as that does */
export async function loadBest(folder: string, options: RunOptions): Promise<LoadedModel | undefined> {
  const found = await useBest(folder, (file) => load(file, options))
  return found && { net: found.value, path: found.file.path }
}

/** Uses the model that is meant by a file, or by the folder of a run. @throws FILE_NOT_FOUND, and what `use` throws */
export async function useModel<T>(given: string, use: (file: string) => Promise<T>): Promise<T> {
  if (!(await exists(runFiles(given).description))) return use(given)
  const found = await useBest(given, use)
  if (found !== undefined) return found.value
  throw new VggError('FILE_NOT_FOUND', `The run in ${given} has no model that can be used`)
}

/** Loads the model that is meant by a file, or by the folder of a run. @throws FILE_NOT_FOUND, and what `load` throws */
export const loadModel = (given: string, options: RunOptions): Promise<VGG> =>
  useModel(given, (file) => load(file, options))
