import { SingleBar } from 'cli-progress'
import pc from 'picocolors'
import type { EpochEvent, StepEvent } from './events.js'
import { epochLine, stepText } from './log.js'

/** Shows a training as it goes. */
export interface Progress {
  /** For the options of `train`: `{ ...progress.callbacks }`. */
  readonly callbacks: { onStep(event: StepEvent): void; onEpoch(event: EpochEvent): void }
  /** Takes away what is only for the moment, before anything else is printed; needed where training ends early. */
  end(): void
}

/**
 * A bar with rate, loss, speed and time left where `stream` is a terminal, and one line per epoch on the standard
 * output in any case.
 */
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
