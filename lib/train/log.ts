import { SingleBar } from 'cli-progress'
import pc from 'picocolors'
import type { Network } from '../network/network.js'
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

/** One line for a finished epoch: rate, loss, accuracies, speed, time, and skipped files and refused steps if any. */
export function epochLine(event: EpochEvent): string {
  const width = String(event.epochs).length
  const parts = [
    `epoch ${String(event.epoch).padStart(width)}/${event.epochs}`,
    `rate ${rateText(event.learningRate).padEnd(7)}`,
    `loss ${event.loss.toFixed(4)}`,
    `training ${percent(event.accuracy).padStart(8)}`,
  ]
  if (event.validation !== undefined) {
    const { top1, top5, perClass } = event.validation
    // with at most five classes, top-5 accuracy is always 100 %
    const five = perClass.length > 5 ? ` top-5 ${percent(top5).padStart(8)}` : ''
    parts.push(`validation ${percent(top1).padStart(8)}${five}`)
  }
  parts.push(`${event.imagesPerSecond.toFixed(0)} images/s`, durationText(event.seconds))
  const { skippedCount, refused } = event
  if (skippedCount > 0) parts.push(`${skippedCount} ${skippedCount === 1 ? 'file' : 'files'} skipped`)
  if (refused > 0) parts.push(`${refused} ${refused === 1 ? 'step' : 'steps'} refused`)
  return parts.join('  ')
}

/** Rate, loss, speed and time left after a step, for a progress bar. */
function stepText(event: StepEvent): string {
  const rate = `rate ${rateText(event.learningRate)}`
  return `${rate}  loss ${event.loss.toFixed(4)}  ${event.imagesPerSecond.toFixed(0)} images/s  ${durationText(event.secondsLeft)} left`
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
  console.log(epochLine(event))
}

function barOn(stream: NodeJS.WriteStream): Progress {
  const format = `${pc.cyan('{bar}')} epoch {epoch}  {text}`
  const bar = new SingleBar({
    format,
    stream,
    barsize: 20,
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
    const payload = { epoch: `${event.epoch}/${event.epochs}`, text: stepText(event) }
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
