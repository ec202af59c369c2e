import type { Network } from '../network/network.js'
import type { EpochEvent, StepEvent, TrainReport } from './events.js'

/** A share as per cent with one more digit than a plain reading needs: `98.65 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

/** A learning rate in at most three digits: `0.01`, `1.25e-4`. */
export function rateText(rate: number): string {
  return rate !== 0 && rate < 1e-3 ? rate.toExponential(2).replace(/\.?0+e/, 'e') : String(Number(rate.toPrecision(3)))
}

/** A time to go or gone: `48 s`, `2 min 05 s`, `3 h 12 min`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}

/** Where a network computes and, for the device `auto`, why: `on cpu in float32: no NVIDIA driver was found (...)`. */
export function deviceLine(net: Pick<Network, 'device' | 'deviceReason' | 'precision' | 'deterministic'>): string {
  const { device, deviceReason, precision, deterministic } = net
  const mode = deterministic ? ', deterministic' : ''
  return `on ${device} in ${precision}${mode}${deviceReason === undefined ? '' : `: ${deviceReason}`}`
}

/** One line for a finished epoch: rate, loss, accuracies, speed, time, and what was left out or refused, if anything. */
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
    // of five classes one is always among five
    const five = perClass.length > 5 ? ` top-5 ${percent(top5).padStart(8)}` : ''
    parts.push(`validation ${percent(top1).padStart(8)}${five}`)
  }
  parts.push(`${event.imagesPerSecond.toFixed(0)} images/s`, durationText(event.seconds))
  const { skippedCount, refused } = event
  if (skippedCount > 0) parts.push(`${skippedCount} ${skippedCount === 1 ? 'file' : 'files'} skipped`)
  if (refused > 0) parts.push(`${refused} ${refused === 1 ? 'step' : 'steps'} refused`)
  return parts.join('  ')
}

/** The present state in a few words, for a progress bar. */
export function stepText(event: StepEvent): string {
  const rate = `rate ${rateText(event.learningRate)}`
  return `${rate}  loss ${event.loss.toFixed(4)}  ${event.imagesPerSecond.toFixed(0)} images/s  ${durationText(event.secondsLeft)} left`
}

/** One line for a finished training. */
export function reportLine(report: TrainReport): string {
  const reason = report.ended === 'schedule' ? 'the validation accuracy stopped improving' : 'all epochs done'
  const epochs = report.history.length
  return `${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}, ${report.steps} steps in ${durationText(report.seconds)} (${reason})`
}
