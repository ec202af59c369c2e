import pc from 'picocolors'
import type { Dataset } from '../data/dataset.js'
import type { ErrorCode } from '../error.js'
import type { Initialisation } from '../network/open.js'
import type { Callback } from '../options.js'
import { bytesText, type Column, columnWidths, countedText, countText, rowText, wrapped } from '../table.js'
import { type FrozenLayers, frozenText, onceText } from '../train/feature-plan.js'
import { durationText } from '../train/log.js'
import type { ClassReport } from './classes.js'
import type { MemoryReport, StepReport } from './cost.js'
import type { DuplicateReport, ImageFiles } from './duplicates.js'
import type { Finding, SignalState } from './findings.js'
import type { InputReport, UnreadableImage } from './images.js'
import type { ActivationReport, GradientReport } from './layers.js'
import type { SpeedReport } from './speed.js'

/** The training to check, and options of the check. */
export interface PreflightOptions {
  /** Training data. */
  training: Dataset
  /** Validation data. Default: none. */
  validation?: Dataset | undefined
  /** Files of the training data. With them, equal images are found by the files' bytes. Default: by pixels. */
  trainingFiles?: ImageFiles | undefined
  /** Files of the validation data. */
  validationFiles?: ImageFiles | undefined
  /** Images of a step. Default: that of `train`. */
  batch?: number | undefined
  /** Whether the images of an epoch that are no whole batch are left out. Default false. */
  dropLast?: boolean | undefined
  /** Images computed at once. Default: that of `train`. */
  microBatch?: number | 'auto' | undefined
  /** Number of epochs, for the time estimate. Default: that of `train`. */
  epochs?: number | undefined
  /** Learning rate at the start, above 0. Default: that of `train`. */
  learningRate?: number | undefined
  /** Initialisation of the weights. Default: trained weights. */
  initialisation?: Initialisation | undefined
  /** Memory limit of the network in bytes. Default: free memory. */
  memoryLimit?: number | undefined
  /** Most images of each part that are opened; larger parts are sampled. Default 2000. */
  limit?: number | undefined
  /** Seed of the samples. Default 0. */
  seed?: number | undefined
  /** Layers that do not learn, as in `train`, in addition to those frozen in the network. Default: none. */
  freeze?: readonly string[] | undefined
  /** Largest random shift of a training image, as in `train`. Default 0. */
  shift?: number | undefined
  /** Whether training images are mirrored at random, as in `train`. Default false. */
  flip?: boolean | undefined
  /** Whether `train` computes frozen leading layers once, in the folder of its checkpoints. Default auto. */
  frozenFeatures?: 'auto' | 'off' | undefined
  /** Aborts the check, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
  /** Called on progress; a returned promise is awaited. */
  onProgress?: Callback<[progress: PreflightProgress]> | undefined
}

/** Progress of the check. */
export interface PreflightProgress {
  /** Current stage. */
  readonly stage: 'images' | 'files' | 'activations' | 'gradients' | 'speed'
  /** Images done in this stage; undefined where the stage has no parts. */
  readonly done?: number
  /** Images in this stage; undefined where the stage has no parts. */
  readonly of?: number
}

/** Results of opening images. */
export interface FileReport {
  /** Number of images opened. */
  readonly checked: number
  /** Number of images in the data. */
  readonly of: number
  /** The first 50 images that cannot be read. */
  readonly unreadable: readonly UnreadableImage[]
  /** Number of images that cannot be read. */
  readonly unreadableCount: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

/** Report of `preflight`, as plain data. Numbers that are not finite become null in JSON. */
export interface PreflightReport {
  /** The network that was checked. */
  readonly model: {
    /** Letter or name of the variant: 'D', 'A-LRN'. */
    readonly variant: string
    /** Number of outputs. */
    readonly classes: number
    /** Image size in pixels. */
    readonly imageSize: readonly [height: number, width: number]
    /** Device of the network: 'cpu', 'cuda:0'. */
    readonly device: string
    /** Precision of activations and products: 'float32', 'tf32', 'bf16'. */
    readonly precision: string
  }
  /** Number of images in each part. */
  readonly images: {
    /** Training images. */
    readonly training: number
    /** Validation images; undefined without validation data. */
    readonly validation: number | undefined
  }
  /** Memory of a step, and the largest batch that fits. */
  readonly memory: MemoryReport
  /** Number of steps. */
  readonly steps: StepReport
  /** Images that cannot be read. */
  readonly files: FileReport
  /** Number of images in each class. */
  readonly classes: ClassReport
  /** Equal images. */
  readonly duplicates: DuplicateReport
  /** Frozen leading layers; undefined where the first layer learns, or with `frozenFeatures: 'off'`. */
  readonly frozen: FrozenLayers | undefined
  /** Input of the first layer; undefined where no image could be read. */
  readonly input: InputReport | undefined
  /** Outputs of each layer; undefined where not one image fits into memory or none could be read. */
  readonly activations: ActivationReport | undefined
  /** Gradients of each layer, from one batch; undefined as `activations`. */
  readonly gradients: GradientReport | undefined
  /** Duration of the training; undefined as `activations`, or where a step fails. */
  readonly speed: SpeedReport | undefined
  /** Problems with which training would fail or learn nothing. */
  readonly fatal: readonly string[]
  /**
   * Code of the error that would end the training, that of the first of these problems; undefined where there are none, or
   * where the training would run and learn nothing.
   */
  readonly code: ErrorCode | undefined
  /** Problems that may be intended. */
  readonly warnings: readonly string[]
}

/** A duration in seconds; below 10 s with fractions. */
const timeText = (seconds: number): string => (seconds < 10 ? `${figure(seconds)} s` : durationText(seconds))

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

/** A number with three digits, in powers of ten where it is very small or large. */
function figure(value: number): string {
  if (value === 0 || (Math.abs(value) >= 1e-2 && Math.abs(value) < 1e4)) return String(Number(value.toPrecision(3)))
  return value.toExponential(1)
}

const paint = (state: SignalState, text: string): string => {
  if (state === 'fine') return pc.green(text)
  return state === 'vanishing' ? pc.yellow(text) : pc.red(text)
}

/** A title and a text. */
type Fact = readonly [title: string, text: string]

const titleWidth = 12

/** Lines of a fact, broken between words at `width`. */
const factLines = ([title, text]: Fact, width: number): string[] =>
  wrapped(text, width - titleWidth).map((line, index) => {
    const shown = index === 0 ? title : ''
    return `${paintTitle(shown)}${' '.repeat(titleWidth - shown.length)}${line}`
  })

const titlePaints: Readonly<Record<string, (text: string) => string>> = { error: pc.red, warning: pc.yellow }

const paintTitle = (title: string): string => pc.bold(titlePaints[title]?.(title) ?? title)

function memoryFact({ memory, model }: PreflightReport): Fact {
  const { batch, bytes, available, largestBatch, microBatch } = memory
  const fits = largestBatch === 0 ? 'not even one image fits' : `the largest that fits is ${countText(largestBatch)}`
  const parts = microBatch > 0 && microBatch < batch ? `; ${microBatch} images at a time with --micro-batch auto` : ''
  return [
    'memory',
    `${bytesText(bytes)} for a batch of ${batch}, ${bytesText(available)} free on ${model.device}: ${fits}${parts}`,
  ]
}

function imageFacts({ images, files, duplicates, classes }: PreflightReport): Fact[] {
  const { checked, of, unreadableCount } = files
  const held = images.validation === undefined ? '' : `, ${countText(images.validation)} for validation`
  const opened =
    checked === of ? `all ${countText(of)} opened` : `${countText(checked)} of ${countText(of)} opened, a random sample`
  const sizes = classes.classes.map((one) => one.training)
  const compared = `${countText(duplicates.images)} compared by ${duplicates.compared === 'files' ? 'file contents' : 'pixels'}`
  const equal = `${countText(duplicates.sharedCount)} in both parts, ${countText(duplicates.contradictoryCount)} under several classes, ${countText(duplicates.repeated)} repeated`
  return [
    [
      'images',
      `${countText(images.training)} for training${held}; ${opened}, ${countText(unreadableCount)} unreadable`,
    ],
    [
      'classes',
      `${sizes.length} of ${countText(Math.min(...sizes))} to ${countText(Math.max(...sizes))} images; always predicting the largest: accuracy ${percent(classes.majorityShare)}`,
    ],
    ['duplicates', `${compared}: ${equal}`],
  ]
}

function stepFacts({ steps: { batch, epochs, perEpoch, inAll } }: PreflightReport): Fact[] {
  const whole = `${countText(inAll)} in ${countedText(epochs, 'epoch', 'epochs')}`
  return [['steps', `${countText(perEpoch)} an epoch of ${countedText(batch, 'image', 'images')}, ${whole}`]]
}

function frozenFacts({ frozen }: PreflightReport): Fact[] {
  if (frozen === undefined) return []
  const { obstacle } = frozen
  const how =
    obstacle === undefined ? `: ${onceText(frozen)} beside the checkpoints` : ` but computed in each step: ${obstacle}`
  return [['frozen', frozenText(frozen) + how]]
}

function inputFacts({ input }: PreflightReport): Fact[] {
  if (input === undefined) return []
  const list = (values: readonly number[]): string => values.map((value) => figure(value)).join(', ')
  const { channels, expectedDeviation: expected } = input
  const expectation = expected === undefined ? '' : `; the weights expect 0 and about ${expected}`
  const [means, deviations] = [
    channels.map(({ meanAfter }) => meanAfter),
    channels.map(({ deviationAfter }) => deviationAfter),
  ]
  return [['input', `mean ${list(means)}, standard deviation ${list(deviations)}${expectation}`]]
}

const layerColumns: readonly Column[] = [
  { title: 'layer', align: 'left' },
  { title: 'outputs', align: 'right' },
  { title: 'zeros', align: 'right' },
  { title: 'dead', align: 'right' },
  { title: '', align: 'left' },
  { title: 'gradient', align: 'right' },
  { title: 'step', align: 'right' },
  { title: '', align: 'left' },
]

function activationFacts({ activations, gradients, model }: PreflightReport): Fact[] {
  if (activations === undefined) return []
  const loss =
    gradients && Number.isFinite(gradients.loss)
      ? `, first loss ${figure(gradients.loss)}, ln(${model.classes}) is ${figure(gradients.expectedLoss)}`
      : ''
  return [['activations', `on ${activations.images} images; logits ${figure(activations.logitsRms)}${loss}`]]
}

const states = /\b(?:fine|vanishing|dead|exploding)\b/g

/** A table of the layers' outputs and gradients. */
function layerLines({ activations, gradients }: PreflightReport, width: number): string[] {
  if (activations === undefined) return []
  const rows = activations.layers.map(({ layer, rms, zeros, deadChannels, state }) => {
    const gradient = gradients?.layers.find((one) => one.layer === layer)
    const cells = [layer, figure(rms), percent(zeros), percent(deadChannels), state]
    return gradient === undefined
      ? cells
      : [...cells, figure(gradient.gradientNorm), figure(gradient.step), gradient.state]
  })
  const indent = '  '
  const widths = columnWidths(layerColumns, rows, width - indent.length)
  const titles = layerColumns.map(({ title }) => title)
  return [
    pc.dim(indent + rowText(layerColumns, titles, widths)),
    ...rows.map((cells) =>
      (indent + rowText(layerColumns, cells, widths)).replace(states, (state) => paint(state as SignalState, state)),
    ),
  ]
}

function speedFacts({ speed }: PreflightReport): Fact[] {
  if (speed === undefined) return []
  const { imagesPerSecond, images, steps, secondsPerEpoch, epochs, secondsBefore, secondsInAll } = speed
  const before = secondsBefore === 0 ? '' : `${timeText(secondsBefore)} for the frozen layers, then `
  const measured = `${figure(imagesPerSecond)} images/s, from ${steps} steps of ${images}`
  const whole = `${timeText(secondsInAll)} for ${countedText(epochs, 'epoch', 'epochs')}`
  return [['time', `${before}${timeText(secondsPerEpoch)} per epoch, ${whole} (${measured})`]]
}

function resultText({ fatal, warnings }: PreflightReport): string {
  if (fatal.length > 0) return pc.red(pc.bold('not ready: this training would fail or learn nothing'))
  return warnings.length === 0
    ? pc.green(pc.bold('ready'))
    : pc.yellow(pc.bold(`ready, with ${countedText(warnings.length, 'warning', 'warnings')}`))
}

/**
 * Lines of a report for a terminal: figures, problems, and whether training is ready. In colour on a terminal.
 * @param width most characters of a line; texts are broken between words, and rows end in an ellipsis. Default: no limit
 */
export function preflightLines(report: PreflightReport, width = Number.POSITIVE_INFINITY): string[] {
  const lines = (facts: readonly Fact[]): string[] => facts.flatMap((fact) => factLines(fact, width))
  return [
    ...lines([memoryFact(report), ...stepFacts(report), ...imageFacts(report), ...frozenFacts(report)]),
    ...lines([...inputFacts(report), ...activationFacts(report)]),
    ...layerLines(report, width),
    ...lines(speedFacts(report)),
    ...lines(report.fatal.map((text): Fact => ['error', text])),
    ...lines(report.warnings.map((text): Fact => ['warning', text])),
    ...wrapped(resultText(report), width),
  ]
}
