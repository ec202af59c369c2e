import path from 'node:path'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import { VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { Network } from '../network/network.js'
import { filePath, instanceOf, optional, readOptions, text, withDefault } from '../options.js'
import { embedded, filterImages } from './image-data.js'
import { readRunLog } from './log-line.js'
import { classifyChecks, judge, type Mistake } from './mistakes.js'
import { type ReportData, reportPage } from './page.js'
import type { ShownFilters, ShownMistake } from './page-images.js'
import { runHistoryOf } from './run-history.js'

/** What the report is made of, besides the run's log. */
export interface ReportSources {
  /** The model whose answers and filters are shown. Default: none, the report has the curves alone. */
  net?: Network
  /** Images for its answers, of its size. Default: none. */
  validation?: Dataset
  /** What the model is called. Default: 'model'. */
  modelName?: string
  /** Images per forward pass, from 1. Default 64. */
  batch?: number
  /** Mistakes to be shown. Default 24. */
  mistakes?: number
  /** Ends it: it rejects with ABORTED. */
  signal?: AbortSignal
}

const checks = {
  ...classifyChecks,
  net: optional(instanceOf(Network)),
  validation: optional(datasetCheck),
  modelName: withDefault(text, 'model'),
}

/**
 * Gathers what the report of a run shows: reads RUN/log.jsonl, and runs the network once over the validation images.
 * Mistakes are the images with the highest probability (soft-max) of an answer that is wrong.
 *
 * @param folder of the run
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT, INVALID_ARGUMENT, SHAPE_MISMATCH, ABORTED, DISPOSED. Scores that are not
 *   finite are no error: the report says so in their position
 */
export async function collectReport(folder: string, sources: ReportSources = {}): Promise<ReportData> {
  filePath(folder, 'folder')
  const { net, validation, modelName, ...options } = readOptions(sources, 'report sources', checks)
  const history = runHistoryOf(await readRunLog(path.join(folder, 'log.jsonl')))
  const made = new Date().toISOString()
  if (net === undefined) return { made, history }
  const filters = await filtersOf(net)
  const answers = validation && (await judged(net, validation, modelName, options))
  return { made, history, ...answers, ...(filters && { filters }) }
}

/** Writes the page to RUN/report.html, whole or not at all. @returns its path. @throws VggError FILE_WRITE */
export async function writeReport(folder: string, data: ReportData): Promise<string> {
  const file = path.join(filePath(folder, 'folder'), 'report.html')
  await writeAtomically(file, [new TextEncoder().encode(reportPage(data))])
  return file
}

async function judged(
  net: Network,
  data: Dataset,
  model: string,
  options: Parameters<typeof judge>[2],
): Promise<Pick<ReportData, 'judged' | 'notJudged'>> {
  try {
    const { metrics, mistakes, unreadable } = await judge(net, data, options)
    const names = metrics.perClass.map(({ name }) => name)
    const shown = await Promise.all(mistakes.map((mistake) => shownMistake(mistake, data, names)))
    return { judged: { model, metrics, mistakes: shown, unreadable } }
  } catch (error) {
    // a training that went wrong is what a report is wanted for
    if (error instanceof VggError && error.code === 'NOT_FINITE') return { notJudged: `${model}: ${error.message}` }
    throw error
  }
}

async function shownMistake(mistake: Mistake, data: Dataset, names: readonly string[]): Promise<ShownMistake> {
  const { index, truth, answer, probability, truthProbability, pixels } = mistake
  return {
    image: await embedded(pixels, data),
    name: data.nameOf?.(index) ?? `image ${index}`,
    truth: names[truth] ?? String(truth),
    answer: names[answer] ?? String(answer),
    probability,
    truthProbability,
  }
}

/** The first parameter that is a window over images: conv1_1.weight of a VGG net. */
async function filtersOf(net: Network): Promise<ShownFilters | undefined> {
  const first = net.parameters.find(({ shape }) => shape.length === 4)
  if (first === undefined) return undefined
  const images = await filterImages(await net.parameter(first.name))
  return { name: first.name, channels: net.channels, images }
}
