import { readImages } from '../data/batch.js'
import { type Dataset, datasetCheck, imageBytes, imageText } from '../data/dataset.js'
import { sampleOf } from '../data/derived.js'
import { throwIfAborted, VggError } from '../error.js'
import { checkHead } from '../network/arguments.js'
import type { Network } from '../network/network.js'
import {
  type Check,
  type Checked,
  callback,
  instanceOf,
  integer,
  isObject,
  oneOf,
  optional,
  readOptions,
  unexpected,
  withDefault,
} from '../options.js'
import { countedText, longestName, printable } from '../table.js'
import { type FeaturePlan, type FrozenLayers, featurePlan } from '../train/feature-plan.js'
import { trainChecks } from '../train/options.js'
import { callTable, namedLayers } from '../train/settings.js'
import { type SizedOptions, sizedOptions } from '../train/sized-options.js'
import { VGG } from '../vgg/vgg.js'
import { classesOf } from './classes.js'
import { type MemoryReport, memoryFor, stepsOf } from './cost.js'
import { type DuplicateReport, duplicatesIn, fileContents, type ImageFiles, type PartContents } from './duplicates.js'
import type { Finding } from './findings.js'
import { inputOf, type Part, type Reading, readThrough, type UnreadableImage, unitScale } from './images.js'
import { activationsOf, gradientsOf, imagesChecked } from './layers.js'
import type { FileReport, PreflightOptions, PreflightReport } from './preflight-report.js'
import { speedOf } from './speed.js'

const files: Check<ImageFiles> = (value, name) => {
  if (isObject(value) && Array.isArray(value.sources) && Array.isArray(value.names))
    return value as unknown as ImageFiles
  throw unexpected('the files of a dataset', name, value)
}

/** The checks of `PreflightOptions`. */
export const preflightChecks = {
  training: datasetCheck,
  validation: optional(datasetCheck),
  trainingFiles: optional(files),
  validationFiles: optional(files),
  batch: optional(integer(1, 2 ** 16)),
  dropLast: trainChecks.dropLast,
  microBatch: trainChecks.microBatch,
  epochs: trainChecks.epochs,
  learningRate: trainChecks.learningRate,
  initialisation: optional(oneOf('glorot', 'he', 'paper', 'none')),
  memoryLimit: optional(integer(1)),
  limit: withDefault(integer(1), 2000),
  seed: trainChecks.seed,
  freeze: trainChecks.freeze,
  shift: trainChecks.shift,
  flip: trainChecks.flip,
  frozenFeatures: callTable.frozenFeatures.check,
  signal: optional(instanceOf(AbortSignal)),
  onProgress: optional(callback<NonNullable<PreflightOptions['onProgress']>>()),
}

type Settings = Omit<Checked<typeof preflightChecks>, keyof SizedOptions> & SizedOptions

function checkFit(net: VGG, data: Dataset, files: ImageFiles | undefined, name: string): void {
  const [height, width] = net.imageSize
  const { channels, classes } = net
  if (data.count < 1) throw unexpected('at least one image', name, data.count)
  if (data.channels !== channels || data.height !== height || data.width !== width) {
    const message = `Expected images of ${imageText({ height, width, channels })} for ${name} but they are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (data.classNames.length > classes) {
    const message = `Expected at most ${classes} classes for ${name} but it has ${data.classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (files !== undefined && files.sources.length !== data.count) {
    const message = `Expected ${data.count} files, one for each image, for ${name}Files but received ${files.sources.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
}

/**
 * Checks a training before it begins: memory, images, input, activations, gradients, speed.
 *
 * @param net network in the state that training would begin with. The check runs some steps on it, at a rate so small
 *   that the weights stay as they are. The layers of `freeze` stay frozen; the caller disposes it
 * @throws VggError SHAPE_MISMATCH where network and data do not fit, INVALID_ARGUMENT, ABORTED, DISPOSED
 */
export async function preflight(net: VGG, options: PreflightOptions): Promise<PreflightReport> {
  const given = readOptions(options, 'preflight options', preflightChecks)
  if (!(net instanceof VGG)) throw unexpected('a VGG network', 'net', net)
  checkHead(net, 'preflight')
  checkFit(net, given.training, given.trainingFiles, 'training')
  const { validation } = given
  if (validation) checkFit(net, validation, given.validationFiles, 'validation')
  const settings = { ...given, ...sizedOptions(given, given.training.count, validation !== undefined) }
  const steps = stepsOf(settings, settings.training.count)
  const memory = memoryFor(net, settings)
  const frozen = await planFrozen(net, settings, memory)
  const images = await readParts(settings)
  const classes = classesOf(settings.training, validation)
  const duplicates = await duplicatesOf(images, settings)
  const found = await examineNetwork(net, settings, { memory, frozen, reading: images.training })
  const parts = [memory, steps, images.report, classes, duplicates, found.input, found.activations, found.gradients]
  const findings = parts.flatMap((part) => part?.findings ?? [])
  const fatal = findings.filter(({ severity }) => severity === 'fatal')
  // what ends the training comes before that it learns nothing
  fatal.sort((a, b) => Number(a.code === undefined) - Number(b.code === undefined))
  const { variant, classes: outputs, imageSize, device, precision } = net
  return {
    model: { variant, classes: outputs, imageSize, device, precision },
    images: { training: settings.training.count, validation: validation?.count },
    memory,
    steps,
    files: images.report,
    classes,
    duplicates,
    frozen: frozen && frozenLayers(frozen),
    ...found,
    fatal: fatal.map(({ text }) => text),
    code: fatal[0]?.code,
    warnings: findings.flatMap(({ severity, text }) => (severity === 'warning' ? [text] : [])),
  }
}

/** Whether to compare files: those of both parts must be known, as files cannot be compared with pixels. */
const comparesFiles = ({ trainingFiles, validation, validationFiles }: Settings): boolean =>
  trainingFiles !== undefined && (validation === undefined || validationFiles !== undefined)

interface ReadParts {
  readonly training: Reading
  readonly validation: Reading | undefined
  readonly report: FileReport
}

/** Most bytes of images in memory that are all read, in about a second, so that all equal ones are found. */
const bytesReadWhole = 2 ** 30

async function readParts(settings: Settings): Promise<ReadParts> {
  const { limit, signal, onProgress } = settings
  const read = (data: Dataset, part: Part, files: ImageFiles | undefined): Promise<Reading> => {
    const cheap = files === undefined && !data.nameOf && data.count * imageBytes(data) <= bytesReadWhole
    const indices = sampleOf(data.count, cheap ? data.count : limit, settings.seed)
    const onRead = (done: number, of: number) => onProgress?.({ stage: 'images', done, of })
    const hashing = comparesFiles(settings) ? 'none' : 'pixels'
    return readThrough(data, part, { indices, hashing, signal, onRead })
  }
  const training = await read(settings.training, 'training', settings.trainingFiles)
  const validation = settings.validation && (await read(settings.validation, 'validation', settings.validationFiles))
  const readings = validation ? [training, validation] : [training]
  const unreadable = readings.flatMap((one) => one.unreadable)
  const checked = readings.reduce((sum, { indices }) => sum + indices.length, 0)
  const of = settings.training.count + (settings.validation?.count ?? 0)
  const findings = fileFindings(
    unreadable,
    training,
    readings.some(({ refuses }) => refuses),
  )
  const report = { checked, of, unreadable: unreadable.slice(0, 50), unreadableCount: unreadable.length, findings }
  return { training, validation, report }
}

function fileFindings(unreadable: readonly UnreadableImage[], training: Reading, refuses: boolean): Finding[] {
  const [first] = unreadable
  if (first === undefined) return []
  const begin = `${countedText(unreadable.length, 'image', 'images')} cannot be read, the first ${printable(first.name, longestName.file)}: ${first.reason}`
  const all = unreadable.filter(({ part }) => part === 'training').length === training.indices.length
  if (all) return [{ severity: 'fatal', code: 'FILE_FORMAT', text: `no training image can be read: ${begin}` }]
  const end = refuses ? '; training would end there: use --on-unreadable skip, or fix the files' : '; skipped'
  return [
    refuses
      ? { severity: 'fatal', code: 'FILE_FORMAT', text: begin + end }
      : { severity: 'warning', text: begin + end },
  ]
}

async function duplicatesOf({ training, validation }: ReadParts, settings: Settings): Promise<DuplicateReport> {
  const { trainingFiles, validationFiles, signal, onProgress } = settings
  const byFiles = comparesFiles(settings)
  const onDone = (done: number, of: number) => onProgress?.({ stage: 'files', done, of })
  const lists = [trainingFiles, validationFiles].filter((list) => list !== undefined)
  const contents = byFiles ? await fileContents(lists, signal, onDone) : [training.hashes, validation?.hashes]
  const partOf = (data: Dataset, reading: Reading, index: number): PartContents => ({
    data,
    contents: contents[index] ?? new Map(),
    images: byFiles ? data.count : reading.hashes.size,
    files: byFiles ? lists[index] : undefined,
  })
  const held = settings.validation && validation && partOf(settings.validation, validation, 1)
  return duplicatesIn(partOf(settings.training, training, 0), held)
}

/** Freezes the layers, and plans the leading ones as the training will. */
async function planFrozen(net: Network, settings: Settings, { microBatch }: MemoryReport) {
  const { freeze } = namedLayers(net.layers, { freeze: settings.freeze, rateFactors: {} }, net.frozen)
  net.freeze(freeze)
  if (settings.frozenFeatures === 'off') return undefined
  const atOnce = settings.microBatch === 'auto' ? microBatch || 1 : (settings.microBatch ?? null)
  return featurePlan(net, { ...settings, freeze, microBatch: atOnce })
}

const frozenLayers = ({ layers, tensor, images, mirrored, bytes, obstacle }: FeaturePlan): FrozenLayers => ({
  ...{ layers, tensor, images, mirrored, bytes, obstacle },
})

interface Known {
  readonly memory: MemoryReport
  readonly frozen: FeaturePlan | undefined
  readonly reading: Reading
}

async function examineNetwork(net: VGG, settings: Settings, { memory, frozen, reading }: Known) {
  const { training, initialisation, learningRate, epochs, validation, seed, signal, onProgress } = settings
  const none = { input: undefined, activations: undefined, gradients: undefined, speed: undefined }
  if (reading.unreadable.length === reading.indices.length) return none
  const input = inputOf(reading.histograms, net.configuration, initialisation)
  if (memory.largestBatch === 0) return { ...none, input }
  const { images, labels } = await someImages(training, imagesChecked(net, memory.largestBatch), reading, seed)
  const { deviation: inputDeviation, channels } = input
  const context = { initialisation, inputDeviation, unitScale: unitScale(channels), classes: net.classes }
  await onProgress?.({ stage: 'activations' })
  const activations = await activationsOf(net, images, context, signal)
  throwIfAborted(signal, 'The check')
  await onProgress?.({ stage: 'gradients' })
  const gradients = await gradientsOf(net, images, labels, learningRate)
  throwIfAborted(signal, 'The check')
  await onProgress?.({ stage: 'speed' })
  const asked = typeof settings.microBatch === 'number' ? settings.microBatch : memory.microBatch
  const atOnce = Math.min(asked, memory.largestBatch, settings.batch)
  const once = frozen?.obstacle === undefined ? frozen : undefined
  const speed = await speedOf(net, { training, validation, atOnce, epochs, seed, once, signal })
  return { input, activations, gradients, speed }
}

/** A random sample of the readable images. */
async function someImages(data: Dataset, count: number, { indices, unreadable }: Reading, seed: number) {
  const bad = new Set(unreadable.map(({ index }) => index))
  const readable = indices.filter((index) => !bad.has(index))
  const chosen = sampleOf(readable.length, count, seed).map((index) => readable[index] ?? 0)
  return readImages(data, chosen)
}
