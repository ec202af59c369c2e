import pc from 'picocolors'
import type { Dataset } from '../data/dataset.js'
import type { Initialisation } from '../network/open.js'
import { bytesText, countedText, countText } from '../table.js'
import { durationText } from '../train/log.js'
import type { ClassReport } from './classes.js'
import type { MemoryReport, SpeedReport } from './cost.js'
import type { DuplicateReport, ImageFiles } from './duplicates.js'
import type { Finding, SignalState } from './findings.js'
import type { InputReport, UnreadableImage } from './images.js'
import type { ActivationReport, GradientReport } from './layers.js'

/** What is to be trained, and how it is looked at. */
export interface PreflightOptions {
  /** What it is to learn from. */
  training: Dataset
  /** What is held out. Default: nothing. */
  validation?: Dataset
  /** The files behind them, where there are: then equal images are found by their files' bytes. */
  trainingFiles?: ImageFiles
  /** Likewise. */
  validationFiles?: ImageFiles
  /** As `train` takes them, with the same defaults. */
  batch?: number
  /** Images computed at a time. */
  microBatch?: number | 'auto'
  /** For the time it will take. Default 74. */
  epochs?: number
  /** Above 0. Default 0.01. */
  learningRate?: number
  /** How the net's weights were made. Default: they were learnt. */
  initialisation?: Initialisation
  /** The net's, in bytes. */
  memoryLimit?: number
  /** Images of each part that are opened at most; more are sampled. Default 2000. */
  limit?: number
  /** Of the samples. Default 0. */
  seed?: number
  /** Ends it: it rejects with ABORTED. */
  signal?: AbortSignal
  /** Called as it goes. */
  onProgress?: (progress: PreflightProgress) => void
}

/** What the check is at. */
export interface PreflightProgress {
  /** What is looked at. */
  readonly stage: 'images' | 'files' | 'activations' | 'gradients' | 'speed'
  /** Images of this stage; undefined where it is one piece of work. */
  readonly done?: number
  /** Of how many. */
  readonly of?: number
}

/** Images that were opened to see whether they can be read. */
export interface FileReport {
  /** Images opened. */
  readonly checked: number
  /** Images there are. */
  readonly of: number
  /** The first 50. */
  readonly unreadable: readonly UnreadableImage[]
  /** How many in all. */
  readonly unreadableCount: number
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

/** What was found before a training: plain data. Figures that are not finite become null in JSON. */
export interface PreflightReport {
  /** What was looked at. */
  readonly model: {
    /** The paper's letter, or the row's name. */
    readonly variant: string
    /** Outputs. */
    readonly classes: number
    /** In pixels. */
    readonly imageSize: readonly [height: number, width: number]
    /** Where it computes. */
    readonly device: string
    /** Of activations and products. */
    readonly precision: string
  }
  /** How many there are of each part. */
  readonly images: {
    /** To learn from. */
    readonly training: number
    /** Held out; undefined where there are none. */
    readonly validation: number | undefined
  }
  /** What a step takes, and what fits. */
  readonly memory: MemoryReport
  /** Which images can be read. */
  readonly files: FileReport
  /** How many images each class has. */
  readonly classes: ClassReport
  /** Which images are equal. */
  readonly duplicates: DuplicateReport
  /** Undefined where no image could be read. */
  readonly input: InputReport | undefined
  /** Undefined where nothing fits into memory, or no image could be read; `speed` also where a step fails. */
  readonly activations: ActivationReport | undefined
  /** Of each layer, from one batch. */
  readonly gradients: GradientReport | undefined
  /** Of three steps, and what follows for the whole. */
  readonly speed: SpeedReport | undefined
  /** With one of these, training cannot come to anything. */
  readonly fatal: readonly string[]
  /** What may be meant, and is worth a look. */
  readonly warnings: readonly string[]
}

/** Small nets take less than a second an epoch. */
const timeText = (seconds: number): string => (seconds < 10 ? `${figure(seconds)} s` : durationText(seconds))

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

/** Three digits, and a power of ten only where it is needed. */
function figure(value: number): string {
  if (value === 0 || (Math.abs(value) >= 1e-2 && Math.abs(value) < 1e4)) return String(Number(value.toPrecision(3)))
  return value.toExponential(1)
}

const paint = (state: SignalState, text: string): string => {
  if (state === 'fine') return pc.green(text)
  return state === 'vanishing' ? pc.yellow(text) : pc.red(text)
}

/** `input     ...`: what a line is about, and what was found. */
const line = (title: string, text: string): string => `${pc.bold(title.padEnd(12))}${text}`

function memoryLine({ memory, model }: PreflightReport): string {
  const { batch, bytes, available, largestBatch, microBatch } = memory
  const fits = largestBatch === 0 ? 'not even one image fits' : `the largest that fits is ${countText(largestBatch)}`
  const parts = microBatch > 0 && microBatch < batch ? `; ${microBatch} images at a time with --micro-batch auto` : ''
  return line(
    'memory',
    `${bytesText(bytes)} for a batch of ${batch}, ${bytesText(available)} free on ${model.device}: ${fits}${parts}`,
  )
}

function imageLines({ images, files, duplicates, classes }: PreflightReport): string[] {
  const { checked, of, unreadableCount } = files
  const held = images.validation === undefined ? '' : `, ${countText(images.validation)} for validation`
  const opened =
    checked === of ? `all ${countText(of)} opened` : `${countText(checked)} of ${countText(of)} opened, drawn by chance`
  const sizes = classes.classes.map((one) => one.training)
  const compared = `${countText(duplicates.images)} compared by ${duplicates.compared === 'files' ? "their files' bytes" : 'their pixels'}`
  const equal = `${countText(duplicates.sharedCount)} in both parts, ${countText(duplicates.contradictoryCount)} under several classes, ${countText(duplicates.repeated)} repeated`
  return [
    line(
      'images',
      `${countText(images.training)} for training${held}; ${opened}, ${countText(unreadableCount)} unreadable`,
    ),
    line(
      'classes',
      `${sizes.length} of ${countText(Math.min(...sizes))} to ${countText(Math.max(...sizes))} images; always naming the largest is right in ${percent(classes.majorityShare)}`,
    ),
    line('equal', `${compared}: ${equal}`),
  ]
}

function inputLines({ input }: PreflightReport): string[] {
  if (input === undefined) return []
  const list = (values: readonly number[]): string => values.map((value) => figure(value)).join(', ')
  const { channels, expectedDeviation: expected } = input
  const expectation = expected === undefined ? '' : `; the weights expect 0 and about ${expected}`
  const [means, deviations] = [
    channels.map(({ meanAfter }) => meanAfter),
    channels.map(({ deviationAfter }) => deviationAfter),
  ]
  return [line('input', `mean ${list(means)}, standard deviation ${list(deviations)}${expectation}`)]
}

/** Layers with outputs and gradients beside each other. */
function layerLines({ activations, gradients, model }: PreflightReport): string[] {
  if (activations === undefined) return []
  const titles = ['layer', 'outputs', 'zeros', 'dead', '', 'gradient', 'a step', '']
  const rows = activations.layers.map(({ layer, rms, zeros, deadChannels, state }) => {
    const gradient = gradients?.layers.find((one) => one.layer === layer)
    const cells = [layer, figure(rms), percent(zeros), percent(deadChannels), state]
    if (gradient === undefined) return { cells, state, gradient: undefined }
    return {
      cells: [...cells, figure(gradient.gradientNorm), figure(gradient.step), gradient.state],
      state,
      gradient: gradient.state,
    }
  })
  const widths = titles.map((title, position) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[position]?.length ?? 0)),
  )
  const padded = (cells: readonly string[]): string[] =>
    widths.map((width, position) =>
      position === 0 || position === 4 || position === 7
        ? (cells[position] ?? '').padEnd(width)
        : (cells[position] ?? '').padStart(width),
    )
  const body = rows.map(({ cells, state, gradient }) => {
    const painted = padded(cells).map((cell, position) => {
      if (position === 4) return paint(state, cell)
      return position === 7 && gradient !== undefined ? paint(gradient, cell) : cell
    })
    return `  ${painted.join('  ')}`.trimEnd()
  })
  const loss =
    gradients && Number.isFinite(gradients.loss)
      ? `, first loss ${figure(gradients.loss)}, ln(${model.classes}) is ${figure(gradients.expectedLoss)}`
      : ''
  return [
    line('activations', `of ${activations.images} images; logits ${figure(activations.logitsRms)}${loss}`),
    pc.dim(`  ${padded(titles).join('  ')}`.trimEnd()),
    ...body,
  ]
}

function speedLines({ speed }: PreflightReport): string[] {
  if (speed === undefined) return []
  const { imagesPerSecond, images, steps, secondsPerEpoch, epochs, secondsInAll } = speed
  const measured = `${figure(imagesPerSecond)} images/s, from ${steps} steps of ${images}`
  const whole = `${timeText(secondsInAll)} for ${countedText(epochs, 'epoch', 'epochs')}`
  return [line('time', `${timeText(secondsPerEpoch)} an epoch, ${whole} (${measured})`)]
}

function resultLine({ fatal, warnings }: PreflightReport): string {
  if (fatal.length > 0) return pc.red(pc.bold('not ready: this training cannot come to anything as it is'))
  return warnings.length === 0
    ? pc.green(pc.bold('ready'))
    : pc.yellow(pc.bold(`ready, with ${countedText(warnings.length, 'warning', 'warnings')}`))
}

/** A report for a terminal, in colour where picocolors finds one: what was found, what is wrong, and the state. */
export function preflightLines(report: PreflightReport): string[] {
  return [
    memoryLine(report),
    ...imageLines(report),
    ...inputLines(report),
    ...layerLines(report),
    ...speedLines(report),
    ...report.fatal.map((text) => `${pc.red(pc.bold('wrong'.padEnd(12)))}${text}`),
    ...report.warnings.map((text) => `${pc.yellow(pc.bold('warning'.padEnd(12)))}${text}`),
    resultLine(report),
  ]
}
