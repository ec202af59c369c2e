import { type Dataset, datasetCheck, imageText } from '../data/dataset.js'
import { VggError } from '../error.js'
import { Network } from '../network/network.js'
import {
  type Checked,
  callback,
  fraction,
  instanceOf,
  integer,
  nonNegative,
  optional,
  positive,
  readOptions,
  seed,
  withDefault,
} from '../options.js'
import type { EpochEvent, StepEvent } from './events.js'
import { type ScheduleOption, scheduleCheck } from './schedule.js'

/** How to train. What is left out is as in the paper, section 3.1. */
export interface TrainOptions {
  /** Pictures held out: their accuracy is told after each epoch, and steers the schedule `plateau`. */
  validation?: Dataset
  /** Passes through the data, from 1. Default 74. */
  epochs?: number
  /** Pictures per step, from 1. Default 256. */
  batch?: number
  /** Pictures computed at a time, to save memory; the gradient is that of the whole batch. Default: the batch. */
  microBatch?: number
  /** Above 0. Default 0.01. */
  learningRate?: number
  /** From 0 to below 1. Default 0.9. */
  momentum?: number
  /** L2 multiplier of all parameters, from 0. Default 5e-4. */
  weightDecay?: number
  /** How the rate changes. Default: `plateau` with validation data, `constant` without. */
  schedule?: ScheduleOption
  /** Seed of order and shifts: an integer from 0 to 2^53 - 1. Default 0. Dropout has the network's own seed. */
  seed?: number
  /** Moves each training picture at random by up to so many pixels along each axis. Default 0. */
  shift?: number
  /** Value of the pixels that come in at the border of a moved picture, 0 (default) to 255. */
  background?: number
  /** Called after each step, in order. */
  onStep?: (event: StepEvent) => void
  /** Called after each epoch; a promise is waited for, so that it may save the network. */
  onEpoch?: (event: EpochEvent) => void | Promise<void>
  /** Ends the training after the steps under way: it rejects with ABORTED, and the network stays usable. */
  signal?: AbortSignal
}

const checks = {
  validation: optional(datasetCheck),
  epochs: withDefault(integer(1), 74),
  batch: withDefault(integer(1), 256),
  microBatch: optional(integer(1)),
  learningRate: withDefault(positive, 0.01),
  momentum: withDefault(fraction, 0.9),
  weightDecay: withDefault(nonNegative, 5e-4),
  schedule: optional(scheduleCheck),
  seed: withDefault(seed, 0),
  shift: withDefault(integer(0), 0),
  background: withDefault(integer(0, 255), 0),
  onStep: optional(callback<(event: StepEvent) => void>()),
  onEpoch: optional(callback<(event: EpochEvent) => void | Promise<void>>()),
  signal: optional(instanceOf(AbortSignal)),
}

/** The options of a training with every default filled in. */
export type Settings = Checked<typeof checks> & { schedule: NonNullable<Checked<typeof checks>['schedule']> }

/** Reads and checks the options of a training, and that data and network fit. */
export function settingsFrom(net: Network, data: Dataset, options: TrainOptions): Settings {
  const read = readOptions(options, 'train options', checks)
  const { validation } = read
  const schedule = read.schedule ?? scheduleCheck(validation === undefined ? 'constant' : 'plateau', 'schedule')
  if (schedule.kind === 'plateau' && validation === undefined) {
    const message =
      "Expected validation data for the schedule 'plateau', which follows their accuracy, but received none"
    throw new VggError('INVALID_ARGUMENT', message)
  }
  checkFit(net, datasetCheck(data, 'data'), 'data')
  if (validation !== undefined) checkFit(net, validation, 'validation')
  return { ...read, schedule }
}

/** Height and width are the network's own to check: it says them in its message. */
function checkFit(net: Network, data: Dataset, name: string): void {
  const { channels, classes } = instanceOf(Network)(net, 'net')
  if (data.count < 1)
    throw new VggError('INVALID_ARGUMENT', `Expected at least one picture for ${name} but received none`)
  if (data.channels !== channels) {
    const message = `Expected pictures with ${channels} channels for ${name} but they are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (data.classNames.length > classes) {
    const message = `Expected at most ${classes} classes for ${name} but it has ${data.classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
}
