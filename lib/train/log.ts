import { SingleBar } from 'cli-progress'
import pc from 'picocolors'
import type { Network } from '../network/network.js'
import { columnsOf, countedText } from '../table.js'
import type { EpochEvent, StepEvent, TrainReport } from './events.js'

/** A share from 0 to 1 as per cent with two decimals: `98.65 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** A learning rate with at most three digits: `0.01`, `1.25e-4`. */
export function rateText(rate: number): string {
  return rate !== 0 && rate < 1e-3 ? rate.toExponential(2).replace(/\.?0+e/, 'e') : String(Number(rate.toPrecision(3)))
}

/** A duration: `48 s`, `2 min 05 s`, `3 h 12 min`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}

/** The device of a network and, for `auto`, the reason: `on cpu in float32: no NVIDIA driver was found (...)`. */
export function deviceLine(net: Pick<Network, 'device' | 'deviceReason' | 'precision' | 'deterministic'>): string {
  const { device, deviceReason, precision, deterministic } = net
  const mode = deterministic ? ', deterministic' : ''
  return `on ${device} in ${precision}${mode}${deviceReason === undefined ? '' : `: ${deviceReason}`}`
}

/** A part of a line. Where the line is too long, parts become short, and then those of the highest rank are left out. */
interface LinePart {
  readonly text: string
  readonly short?: string
  readonly rank: number
}

/** Joins the parts of a line of at most `width` characters. */
function lineOf(parts: readonly LinePart[], width: number): string {
  const whole = parts.map(({ text }) => text).join('  ')
  if (whole.length <= width) return whole
  let kept = [...parts]
  const line = (): string => kept.map(({ text, short = text }) => short).join('  ')
  while (kept.length > 1 && line().length > width) {
    const last = Math.max(...kept.map(({ rank }) => rank))
    kept = kept.filter(({ rank }) => rank !== last)
  }
  return line()
}

/**
 * One line for a finished epoch: rate, loss, accuracies, speed, time, and skipped files and refused steps if any.
 * @param width most characters; a longer line is shortened. Default: no limit
 */
export function epochLine(event: EpochEvent, width = Number.POSITIVE_INFINITY): string {
  const { validation, skippedCount, refused } = event
  const digits = String(event.epochs).length
  const accuracy = percent(event.accuracy).padStart(8)
  const parts: LinePart[] = [
    { rank: 0, text: `epoch ${String(event.epoch).padStart(digits)}/${event.epochs}` },
    { rank: 7, text: `rate ${rateText(event.learningRate).padEnd(7)}` },
    { rank: 1, text: `loss ${event.loss.toFixed(4)}` },
    { rank: 5, text: `training ${accuracy}`, short: `train ${accuracy}` },
  ]
  if (validation !== undefined) {
    const top1 = percent(validation.top1).padStart(8)
    parts.push({ rank: 2, text: `validation ${top1}`, short: `val ${top1}` })
    // with at most five classes, top-5 accuracy is always 100 %
    if (validation.perClass.length > 5) parts.push({ rank: 6, text: `top-5 ${percent(validation.top5).padStart(8)}` })
  }
  parts.push({ rank: 9, text: `${event.imagesPerSecond.toFixed(0)} images/s` })
  parts.push({ rank: 8, text: durationText(event.seconds) })
  if (skippedCount > 0) parts.push({ rank: 3, text: `${countedText(skippedCount, 'file')} skipped` })
  if (refused > 0) parts.push({ rank: 4, text: `${countedText(refused, 'step')} refused` })
  return lineOf(parts, width)
}

/** Epoch, rate, loss, speed and time left after a step, for a progress bar. */
function stepText(event: StepEvent, width: number): string {
  const parts = [
    { rank: 0, text: `epoch ${event.epoch}/${event.epochs}` },
    { rank: 4, text: `rate ${rateText(event.learningRate)}` },
    { rank: 2, text: `loss ${event.loss.toFixed(4)}` },
    { rank: 3, text: `${event.imagesPerSecond.toFixed(0)} images/s` },
    { rank: 1, text: `${durationText(event.secondsLeft)} left` },
  ]
  return lineOf(parts, width)
}

/** One line for a finished training. */
export function reportLine(report: TrainReport): string {
  const reason = report.ended === 'schedule' ? 'the validation accuracy stopped improving' : 'all epochs done'
  const epochs = report.history.length
  return `${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}, ${report.steps} steps in ${durationText(report.seconds)} (${reason})`
}

/** Display of a training in progress. */
export interface Progress {
  /** Callbacks for the options of `train`: `{ ...progress.callbacks }`. */
  readonly callbacks: { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void }
  /** Removes the bar before other output; needed if the training ends early. */
  end(): void
}

/** Prints one line for each epoch on the standard output, and shows a progress bar if `stream` is a terminal. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? barOn(stream) : { callbacks: { onStep() {}, onEpoch: printEpoch }, end() {} }
}

function printEpoch(event: EpochEvent): void {
  console.log(epochLine(event, columnsOf(process.stdout)))
}

/** Characters of a progress bar on a terminal. */
export const barSize = (stream: NodeJS.WriteStream): number => (columnsOf(stream) < 60 ? 10 : 20)

function barOn(stream: NodeJS.WriteStream): Progress {
  const format = `${pc.cyan('{bar}')} {text}`
  const barsize = barSize(stream)
  const bar = new SingleBar({
    format,
    stream,
    barsize,
    barCompleteChar: '\u2588',
    barIncompleteChar: '\u2591',
    clearOnComplete: true,
    fps: 8,
    gracefulExit: false,
  })
  let shown = false
  function end(): void {
    if (shown) bar.stop()
    shown = false
  }
  function onStep(event: StepEvent): void {
    const payload = { text: stepText(event, columnsOf(stream) - barsize - 1) }
    const perEpoch = event.steps / event.epochs
    if (!shown) bar.start(perEpoch, 0, payload)
    shown = true
    bar.update(event.step - (event.epoch - 1) * perEpoch, payload)
  }
  function onEpoch(event: EpochEvent): void {
    end()
    printEpoch(event)
  }
  return { callbacks: { onStep, onEpoch }, end }
}
