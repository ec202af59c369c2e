import pc from 'picocolors'
import { bytesText, countedText, countText } from '../table.js'
import { durationText } from '../train/log.js'
import type { PreflightReport } from './preflight-report.js'
import type { Verdict } from './verdict.js'

/** Small nets take less than a second an epoch. */
const timeText = (seconds: number): string => (seconds < 10 ? `${figure(seconds)} s` : durationText(seconds))

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

/** Three digits, and a power of ten only where it is needed. */
function figure(value: number): string {
  if (value === 0 || (Math.abs(value) >= 1e-2 && Math.abs(value) < 1e4)) return String(Number(value.toPrecision(3)))
  return value.toExponential(1)
}

const paint = (verdict: Verdict, text: string): string => {
  if (verdict === 'fine') return pc.green(text)
  return verdict === 'vanishing' ? pc.yellow(text) : pc.red(text)
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
  const rows = activations.layers.map(({ layer, rms, zeros, deadChannels, verdict }) => {
    const gradient = gradients?.layers.find((one) => one.layer === layer)
    const cells = [layer, figure(rms), percent(zeros), percent(deadChannels), verdict]
    if (gradient === undefined) return { cells, verdict, gradient: undefined }
    return {
      cells: [...cells, figure(gradient.gradientNorm), figure(gradient.step), gradient.verdict],
      verdict,
      gradient: gradient.verdict,
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
  const body = rows.map(({ cells, verdict, gradient }) => {
    const painted = padded(cells).map((cell, position) => {
      if (position === 4) return paint(verdict, cell)
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

function verdictLine({ fatal, warnings }: PreflightReport): string {
  if (fatal.length > 0) return pc.red(pc.bold('not ready: this training cannot come to anything as it is'))
  return warnings.length === 0
    ? pc.green(pc.bold('ready'))
    : pc.yellow(pc.bold(`ready, with ${countedText(warnings.length, 'warning', 'warnings')}`))
}

/** A report for a terminal, in colour where picocolors finds one: what was found, what is wrong, and the verdict. */
export function preflightLines(report: PreflightReport): string[] {
  return [
    memoryLine(report),
    ...imageLines(report),
    ...inputLines(report),
    ...layerLines(report),
    ...speedLines(report),
    ...report.fatal.map((text) => `${pc.red(pc.bold('wrong'.padEnd(12)))}${text}`),
    ...report.warnings.map((text) => `${pc.yellow(pc.bold('warning'.padEnd(12)))}${text}`),
    verdictLine(report),
  ]
}
