import { type Dataset, datasetCheck, imageText } from '../data/dataset.js'
import { VggError } from '../error.js'
import { layersWithParameters, parameterCount } from '../layer.js'
import { microBatchFor } from '../network/fitting-batch.js'
import { Network } from '../network/network.js'
import {
  arrayOf,
  type Check,
  type Checked,
  callback,
  float32,
  fraction,
  instanceOf,
  integer,
  isObject,
  nonNegative,
  oneOf,
  optional,
  positive,
  readOptions,
  seed,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { type CheckpointOptions, checkpointCheck } from './checkpoint-options.js'
import type { CheckpointEvent, EpochEvent, RefusedEvent, StepEvent } from './events.js'
import { layersNamed } from './frozen.js'
import { type NotFinite, type NotFiniteOption, notFiniteCheck } from './not-finite.js'
import type { RecordedOptions } from './recorded-options.js'
import { type ScheduleOption, scheduleCheck } from './schedule.js'
import { stateCheck, type TrainingState } from './training-state.js'

/**
 * How to train. What is left out is as in the paper, section 3.1; where a training is resumed, as it was.
 */
export interface TrainOptions {
  /** Images held out: their accuracy is told after each epoch, and steers the schedule `plateau`. */
  validation?: Dataset
  /** Passes through the data, from 1. Default 74. */
  epochs?: number
  /** Images per step, from 1. Default 256. */
  batch?: number
  /**
   * Images computed at a time, to save memory; the gradient is that of the whole batch. `auto`: as many as fit into
   * the memory that is available. Default: the batch.
   */
  microBatch?: number | 'auto'
  /** Above 0. Default 0.01. */
  learningRate?: number
  /** From 0 to below 1. Default 0.9. */
  momentum?: number
  /** L2 multiplier of all parameters, from 0. Default 5e-4. */
  weightDecay?: number
  /**
   * Multipliers of the rate, of at least 0, for fine-tuning: by layer ('fc8'), block ('conv3'), 'convolutions' or
   * 'head' (the linear layers). Of several that fit a layer the narrowest counts. Default: 1 for all.
   */
  rates?: Readonly<Record<string, number>>
  /** Layers that do not learn, named as in `rates`, besides those that the network has frozen already. */
  freeze?: readonly string[]
  /** How the rate changes. Default: `plateau` with validation data, `constant` without. */
  schedule?: ScheduleOption
  /** Seed of order and shifts: an integer from 0 to 2^53 - 1. Default 0. Dropout has the network's own seed. */
  seed?: number
  /** Moves each training image at random by up to so many pixels along each axis. Default 0. */
  shift?: number
  /** Value of the pixels that come in at the border of a moved image, 0 (default) to 255. */
  background?: number
  /**
   * What follows a loss or gradient that is not finite, which the device has not applied: `stop` (default) rejects with
   * NOT_FINITE; `skip` counts it and goes on; `back`, or { back: factor (0.1), times (3) }, goes back to the last checkpoint
   * and on with the rate times `factor`, so many times at most.
   */
  onNotFinite?: NotFiniteOption
  /** Where and when the training is saved, so that it can be resumed. Default: it is not. */
  checkpoint?: CheckpointOptions
  /** What `loadTraining` gave together with the network. Options that are left out are as they were. */
  resume?: TrainingState
  /**
   * Whether a training may be resumed where data, options, device, precision or threads are others than they were; it is
   * then not what it would have been, bit for bit. Default 'refuse': RESUME_MISMATCH.
   */
  differences?: 'refuse' | 'accept'
  /** Called after each step, in order; again for steps that are done again after going back. */
  onStep?: (event: StepEvent) => void
  /**
   * Called after each epoch, before its checkpoint; a promise is waited for. Where the process was killed between the two
   * it is called again.
   */
  onEpoch?: (event: EpochEvent) => void | Promise<void>
  /** Called for each step that was not finite, whatever follows. */
  onRefused?: (event: RefusedEvent) => void
  /** Called when a checkpoint lies on the disk, beside the training. */
  onCheckpoint?: (event: CheckpointEvent) => void
  /**
   * Ends the training after the steps under way: it rejects with ABORTED, and the network stays usable. With
   * `checkpoint` it is saved before.
   */
  signal?: AbortSignal
}

const rateTable: Check<Record<string, number>> = (value, name) => {
  if (!isObject(value)) throw unexpected('an object of layer names and numbers', name, value)
  return Object.fromEntries(
    Object.entries(value).map(([key, rate]) => [key, float32(nonNegative)(rate, `${name}.${key}`)]),
  )
}

const microBatch: Check<number | 'auto'> = (value, name) => (value === 'auto' ? value : integer(1)(value, name))

const checks = {
  validation: optional(datasetCheck),
  epochs: withDefault(integer(1), 74),
  batch: withDefault(integer(1), 256),
  microBatch: optional(microBatch),
  learningRate: withDefault(float32(positive), 0.01),
  momentum: withDefault(fraction, 0.9),
  weightDecay: withDefault(float32(nonNegative), 5e-4),
  rates: withDefault(rateTable, {}),
  freeze: withDefault(arrayOf(text), []),
  schedule: optional(scheduleCheck),
  seed: withDefault(seed, 0),
  shift: withDefault(integer(0), 0),
  background: withDefault(integer(0, 255), 0),
  onNotFinite: withDefault<NotFinite>(notFiniteCheck, 'stop'),
  checkpoint: optional(checkpointCheck),
  differences: withDefault(oneOf('refuse', 'accept'), 'refuse'),
  onStep: optional(callback<(event: StepEvent) => void>()),
  onEpoch: optional(callback<(event: EpochEvent) => void | Promise<void>>()),
  onRefused: optional(callback<(event: RefusedEvent) => void>()),
  onCheckpoint: optional(callback<(event: CheckpointEvent) => void>()),
  signal: optional(instanceOf(AbortSignal)),
  resume: optional(stateCheck),
}

/** The options of a training with every default filled in. */
export interface Settings extends Omit<Checked<typeof checks>, keyof RecordedOptions> {
  readonly recorded: RecordedOptions
}

/** The options given, before those that were recorded. */
function merged(options: TrainOptions): TrainOptions {
  if (!isObject(options) || options.resume === undefined) return options
  const { conditions } = stateCheck(options.resume, 'resume')
  const { microBatch, ...recorded } = conditions.options
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const before = { ...recorded, ...(microBatch !== null && { microBatch }) }
  // what fitted at the beginning decides
  return { ...before, ...given, ...(given.microBatch === 'auto' && { microBatch: microBatch ?? recorded.batch }) }
}

/** Reads and checks the options of a training, and that data and network fit. */
export function settingsFrom(net: Network, data: Dataset, options: TrainOptions): Settings {
  const read = readOptions(merged(options), 'train options', checks)
  const { validation, checkpoint, onNotFinite } = read
  const schedule = read.schedule ?? scheduleCheck(validation === undefined ? 'constant' : 'plateau', 'schedule')
  if (schedule.kind === 'plateau' && validation === undefined) {
    const message =
      "Expected validation data for the schedule 'plateau', which follows their accuracy, but received none"
    throw new VggError('INVALID_ARGUMENT', message)
  }
  if (typeof onNotFinite === 'object' && checkpoint === undefined) {
    const message = "Expected the option checkpoint for onNotFinite 'back', which goes back to one, but received none"
    throw new VggError('INVALID_ARGUMENT', message)
  }
  checkFit(net, datasetCheck(data, 'data'), 'data')
  if (validation !== undefined) checkFit(net, validation, 'validation')
  const { epochs, batch, learningRate, momentum, weightDecay, seed, shift, background, ...rest } = read
  const figures = { epochs, batch, learningRate, momentum, weightDecay, seed, shift, background }
  const layers = { rates: ratesByLayer(net, read.rates), freeze: frozenIn(net, read.freeze) }
  const part = microBatchOf(net, data, batch, read.microBatch)
  return { ...rest, recorded: { ...figures, ...layers, microBatch: part, schedule, onNotFinite } }
}

function microBatchOf(net: Network, data: Dataset, batch: number, asked: number | 'auto' | undefined): number | null {
  if (asked !== 'auto') return asked ?? null
  const { layers, precision, deterministic, run } = net
  const device = net.device as 'cpu' | `cuda:${number}`
  const imageSize = [data.height, data.width] as const
  // the parameters lie there already
  const held = 4 * parameterCount(layers)
  return microBatchFor(batch, { layers, device, precision, deterministic, exact: run.exact, imageSize, held })
}

/** The narrowest name counts: layer, block, kind. */
function ratesByLayer(net: Network, rates: Readonly<Record<string, number>>): Record<string, number> {
  const groups = Object.entries(rates).map(([name, rate]) => ({ rate, layers: layersNamed(net, name, 'rates') }))
  groups.sort((a, b) => b.layers.length - a.layers.length)
  return Object.fromEntries(groups.flatMap(({ rate, layers }) => layers.map((layer) => [layer, rate])))
}

function frozenIn(net: Network, names: readonly string[]): string[] {
  const frozen = new Set([...net.frozen, ...names.flatMap((name) => layersNamed(net, name, 'freeze'))])
  const all = layersWithParameters(net.layers)
  if (frozen.size === all.length) throw unexpected('at least one layer left to learn', 'freeze', [...frozen])
  return all.filter((name) => frozen.has(name))
}

/** Height and width are the network's own to check: it says them in its message. */
function checkFit(net: Network, data: Dataset, name: string): void {
  const { channels, classes } = instanceOf(Network)(net, 'net')
  if (data.count < 1)
    throw new VggError('INVALID_ARGUMENT', `Expected at least one image for ${name} but received none`)
  if (data.channels !== channels) {
    const message = `Expected images with ${channels} channels for ${name} but they are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (data.classNames.length > classes) {
    const message = `Expected at most ${classes} classes for ${name} but it has ${data.classNames.length}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
}
