import path from 'node:path'
import { readRunLog } from '../../lib/report/log-line.js'
import { RunLog, type RunPosition } from '../../lib/report/run-log.js'
import type { EpochEvent, StepEvent } from '../../lib/train/events.js'
import { newFolder } from './folder.js'

export const facts = {
  model: 'VGG A',
  data: 'photos',
  device: 'cpu',
  precision: 'float32',
  training: 40,
  classes: 2,
  epochs: 3,
  batch: 10,
}
export const perEpoch = 4

export const stepEvent = (step: number): StepEvent => ({
  step,
  steps: 12,
  epoch: Math.ceil(step / perEpoch),
  epochs: 3,
  loss: 1 / step,
  images: 10,
  correct: step % 10,
  learningRate: 0.01,
  indices: new Int32Array(10),
  imagesPerSecond: 100 + Math.random(),
  secondsLeft: 5,
})

export const epochEvent = (epoch: number, skipped: readonly { name: string; reason: string }[]): EpochEvent => ({
  epoch,
  epochs: 3,
  steps: epoch * perEpoch,
  learningRate: 0.01,
  loss: 1 / epoch,
  accuracy: 0.5,
  validation: {
    count: 8,
    loss: 0.25,
    top1: 0.75,
    top5: 1,
    perClass: [{ name: 'x', count: 8, correct: 6, accuracy: 0.75 }],
    confusion: [[6, 2]],
    unreadable: [],
  },
  imagesPerSecond: 100,
  seconds: Math.random(),
  skipped,
  // the event holds the first hundred
  skippedCount: skipped.length + 100,
  refused: 1,
})

export const torn = { name: 'a/torn.jpg', reason: 'ends too early' }
export const empty = { name: 'b/empty.png', reason: 'holds nothing' }

/** Writes the lines of the steps from `first` to `last`, and of the epochs that end with them. */
export function run(log: RunLog, first: number, last: number): void {
  for (let step = first; step <= last; step++) {
    log.step(stepEvent(step))
    const epoch = step / perEpoch
    if (Number.isInteger(epoch)) log.epoch(epochEvent(epoch, epoch === 1 ? [torn] : [torn, empty]))
  }
}

export async function begun(file: string, from?: RunPosition): Promise<RunLog> {
  const log = await RunLog.open(file, { everySteps: 2, ...(from && { from }) })
  log.start(facts)
  return log
}

/** The lines that a resumed training shares with one that nobody disturbed. */
export async function comparable(file: string): Promise<object[]> {
  const { lines } = await readRunLog(file)
  return lines
    .filter(({ event }) => event !== 'resume' && event !== 'checkpoint')
    .map((line) => ({ ...line, time: 0, seconds: 0, imagesPerSecond: 0 }))
}

export async function undisturbed(): Promise<object[]> {
  const file = path.join(newFolder(), 'log.jsonl')
  const log = await begun(file)
  run(log, 1, 12)
  log.end({ ended: 'epochs', seconds: 9, imagesPerSecond: 100 })
  log.close()
  return comparable(file)
}
