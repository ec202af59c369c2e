import path from 'node:path'
import type { ImageBatch, SkippedImage } from '../data/batch.js'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import { batchesOf } from '../data/loader.js'
import { throwIfAborted, VggError } from '../error.js'
import { type Metrics, Tally } from '../evaluate/metrics.js'
import { gradCam } from '../explain/gradients.js'
import { overlayOf } from '../explain/overlay.js'
import { checkNoLinks, writeAtomically } from '../files/atomic-file.js'
import { checkHead } from '../network/arguments.js'
import { Network } from '../network/network.js'
import { filePath, instanceOf, integer, optional, readOptions, text, withDefault } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import { readRunLog } from './log-line.js'
import { type ReportData, reportPage } from './page.js'
import { type EmbeddedImage, embedded, filterImages, type ShownFilters, type ShownMistake } from './page-evaluation.js'
import { runHistoryOf } from './run-history.js'

/** A wrongly classified image. */
interface Mistake {
  /** Index of the image in the data. */
  readonly index: number
  /** Index of the true class. */
  readonly truth: number
  /** Index of the predicted class. */
  readonly answer: number
  /** Soft-max probabilities of the predicted and of the true class, 0 to 1. */
  readonly probability: number
  readonly truthProbability: number
  /** uint8, height x width x channels, as the network received it. */
  readonly pixels: Uint8Array
}

/** Metrics of a network, with its most confident mistakes. */
export interface ClassifiedImages {
  readonly metrics: Metrics
  /** The most confident mistakes, most confident first. */
  readonly mistakes: readonly Mistake[]
  readonly unreadable: readonly SkippedImage[]
}

/** Options of `classifyAll`. */
export interface ClassifyOptions {
  /** Images per forward pass, from 1. Default 64. */
  batch?: number | undefined
  /** Number of mistakes that are kept with their pixels, from 0. Default 24. */
  mistakes?: number | undefined
  /** Aborts the pass, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
}

const classifyChecks = {
  batch: withDefault(integer(1), 64),
  mistakes: withDefault(integer(0), 24),
  signal: optional(instanceOf(AbortSignal)),
}

/**
 * Runs a network over labelled images, as `evaluate` does (one centre crop), and keeps the most confident mistakes: those
 * with the highest probability of a wrong class. Memory holds one batch and the kept images.
 *
 * @throws VggError SHAPE_MISMATCH, NOT_FINITE, ABORTED, DISPOSED
 */
export async function classifyAll(
  net: Network,
  data: Dataset,
  options: ClassifyOptions = {},
): Promise<ClassifiedImages> {
  const { batch, mistakes: kept, signal } = readOptions(options, 'classifyAll options', classifyChecks)
  checkHead(instanceOf(Network)(net, 'net'), 'the report')
  const { classes } = net
  const tally = new Tally(classNamesOf(net, datasetCheck(data, 'data')))
  const unreadable: SkippedImage[] = []
  let mistakes: Mistake[] = []
  for await (const images of batchesOf(data, batch)) {
    throwIfAborted(signal, 'The report')
    unreadable.push(...images.unreadable)
    if (images.labels.length === 0) continue
    const output = await net.forward(images.images)
    if (output.shape.length !== 2) {
      const message = `Expected images of the network's own size but they are ${data.height}x${data.width}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    const logits = valuesOf(output)
    tally.add(logits, images.labels)
    const found = mistakesOf(logits, classes, images)
    // the sort is stable: equal ones stay in the order of the data, whatever the batch
    mistakes = [...mistakes, ...found].sort((a, b) => b.probability - a.probability).slice(0, kept)
    mistakes = mistakes.map((mistake) => withOwnMemory(mistake, images))
  }
  return { metrics: tally.metrics(), mistakes, unreadable }
}

/** Class names: those of the data, else of the model, else numbers. */
function classNamesOf(net: Network, data: Dataset): string[] {
  if (data.classNames.length > net.classes) {
    const message = `Expected data of at most ${net.classes} classes for this network but it has ${data.classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return Array.from(
    { length: net.classes },
    (_, index) => data.classNames[index] ?? net.classNames[index] ?? `${index}`,
  )
}

function mistakesOf(logits: Float32Array, classes: number, { images, labels, indices }: ImageBatch): Mistake[] {
  const pixels = valuesOf(images)
  const bytes = pixels.length / labels.length
  return Array.from(labels).flatMap((truth, row) => {
    const scores = logits.subarray(row * classes, (row + 1) * classes)
    const answer = scores.indexOf(largestOf(scores))
    if (answer === truth) return []
    const probabilities = softmax(scores)
    const found = { probability: probabilities[answer] ?? 0, truthProbability: probabilities[truth] ?? 0 }
    const own = pixels.subarray(row * bytes, (row + 1) * bytes)
    return [{ index: indices[row] ?? -1, truth, answer, ...found, pixels: own }]
  })
}

const largestOf = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)

/** Soft-max in float64, whatever the network's precision. */
function softmax(logits: Float32Array): number[] {
  const largest = largestOf(logits)
  const powers = Array.from(logits, (value) => Math.exp(value - largest))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

/** Copies the pixels: a subarray would keep the whole batch in memory. */
function withOwnMemory(mistake: Mistake, { images }: ImageBatch): Mistake {
  const shared = mistake.pixels.buffer === valuesOf(images).buffer
  return shared ? { ...mistake, pixels: mistake.pixels.slice() } : mistake
}

/** Sources of a report besides the run's log. */
export interface ReportSources {
  /** Model whose results and filters are shown. Default: none; the report has the curves only. */
  net?: Network | undefined
  /** Validation images of the model's size. Default: none; the report has no results. */
  validation?: Dataset | undefined
  /** Name of the model. Default 'model'. */
  modelName?: string | undefined
  /** Images per forward pass, from 1. Default 64. */
  batch?: number | undefined
  /** Number of mistakes to show, from 0. Default 24. */
  mistakes?: number | undefined
  /** Aborts the collection, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
}

const checks = {
  ...classifyChecks,
  net: optional(instanceOf(Network)),
  validation: optional(datasetCheck),
  modelName: withDefault(text, 'model'),
}

/**
 * Collects the contents of a run's report: reads RUN/log.jsonl and runs the network once over the validation images.
 * The mistakes shown are those with the highest soft-max probability of a wrong class.
 *
 * @param folder folder of the run
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT, INVALID_ARGUMENT, SHAPE_MISMATCH, ABORTED, DISPOSED. Scores that are not
 *   finite are not an error: `evaluationError` describes them
 */
export async function collectReport(folder: string, sources: ReportSources = {}): Promise<ReportData> {
  filePath(folder, 'folder')
  const { net, validation, modelName, ...options } = readOptions(sources, 'report sources', checks)
  const history = runHistoryOf(await readRunLog(path.join(folder, 'log.jsonl')))
  const made = new Date().toISOString()
  if (net === undefined) return { made, history }
  const filters = await filtersOf(net)
  const answers = validation && (await evaluation(net, validation, modelName, options))
  return { made, history, ...answers, ...(filters && { filters }) }
}

/**
 * Writes the page to RUN/report.html atomically.
 * @returns path of the page
 * @throws VggError FILE_WRITE
 */
export async function writeReport(folder: string, data: ReportData): Promise<string> {
  const file = path.join(filePath(folder, 'folder'), 'report.html')
  await checkNoLinks([file])
  await writeAtomically(file, [new TextEncoder().encode(reportPage(data))])
  return file
}

async function evaluation(
  net: Network,
  data: Dataset,
  model: string,
  options: Parameters<typeof classifyAll>[2],
): Promise<Pick<ReportData, 'evaluation' | 'evaluationError'>> {
  try {
    const { metrics, mistakes, unreadable } = await classifyAll(net, data, options)
    const names = metrics.perClass.map(({ name }) => name)
    const overlays = await overlaysOf(net, data, mistakes)
    const shown = await Promise.all(
      mistakes.map(async (mistake, index) => {
        const overlay = overlays[index]
        return { ...(await shownMistake(mistake, data, names)), ...(overlay && { overlay }) }
      }),
    )
    return { evaluation: { model, metrics, mistakes: shown, unreadable } }
  } catch (error) {
    // a failed training needs its report most
    if (error instanceof VggError && error.code === 'NOT_FINITE')
      return { evaluationError: `${model}: ${error.message}` }
    throw error
  }
}

/** Grad-CAM of the predicted class of each mistake; none for a network without a convolution below its scores. */
async function overlaysOf(net: Network, data: Dataset, mistakes: readonly Mistake[]): Promise<EmbeddedImage[]> {
  if (mistakes.length === 0 || !net.layers.some((layer) => layer.kind === 'convolution' && layer.relu)) return []
  const shape = [mistakes.length, data.height, data.width, data.channels]
  const images = Tensor.from(Buffer.concat(mistakes.map(({ pixels }) => pixels)), shape)
  const explanation = await gradCam(net, images, { class: mistakes.map(({ answer }) => answer) })
  return Promise.all(
    mistakes.map((_, index) =>
      embedded(overlayOf(explanation, index).pixels, { height: data.height, width: data.width, channels: 3 }),
    ),
  )
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

/** Filters of the first convolution: conv1_1.weight of a VGG network. */
async function filtersOf(net: Network): Promise<ShownFilters | undefined> {
  const first = net.parameters.find(({ shape }) => shape.length === 4)
  if (first === undefined) return undefined
  const images = await filterImages(await net.parameter(first.name))
  return { name: first.name, channels: net.channels, images }
}
