import { type RateFactors, rateFactors } from '../network/arguments.js'
import {
  arrayOf,
  boolean,
  type Callback,
  type Check,
  type Checked,
  callback,
  checksOf,
  fallbackOf,
  filePath,
  float32,
  fraction,
  integer,
  isObject,
  nonNegative,
  type OptionRow,
  objectOf,
  optional,
  positive,
  readOptions,
  seed,
  text,
  unexpected,
  withDefault,
} from '../options.js'
import { mostEpochs } from './past-epochs.js'
import { type ScheduleOption, scheduleCheck, scheduleKinds } from './schedule.js'
import type { SizedOptions } from './sized-options.js'

/** The options of `train` that decide what it computes; checkpoints and run.json record them. */
export interface RecordedTrainOptions<LayerName extends string = string> {
  /** Passes over the training images, from 1 to 32,768. Default 74, or as many as make 2,000 steps. */
  epochs?: number | undefined
  /**
   * Images of a step, from 1 to the number of training images. Default: an eighth of the training images, rounded down to a
   * power of two, from 32 to 256.
   */
  batch?: number | undefined
  /** Whether the images of an epoch that are no whole batch are left out. They differ in each epoch. Default false. */
  dropLast?: boolean | undefined
  /**
   * Images computed at once, to save memory; the gradient is that of the whole batch. `auto`: as many as fit into the
   * available memory. Default: the batch.
   */
  microBatch?: number | 'auto' | undefined
  /** Learning rate at the start, above 0. Default 0.01. */
  learningRate?: number | undefined
  /** Momentum of SGD, from 0 to below 1. Default 0.9. */
  momentum?: number | undefined
  /** L2 multiplier of all parameters, at least 0. Default 0.0005. */
  weightDecay?: number | undefined
  /**
   * Multipliers of the learning rate, at least 0, for fine-tuning: by layer ('fc8'), block ('conv3'), 'convolutions' or
   * 'head' (the linear layers). Where several names apply to a layer, the one of the fewest layers decides. Default: 1 for
   * all layers.
   */
  rateFactors?: RateFactors<LayerName> | undefined
  /** Layers that do not learn, named as in `rateFactors`, in addition to those frozen in the network. Default: none. */
  freeze?: readonly LayerName[] | undefined
  /** Learning rate schedule. Default: `plateau` with validation data, `constant` without. */
  schedule?: ScheduleOption | undefined
  /** Seed of the order of the images and their shifts: an integer from 0 to 2^53 - 1. Default 0. Dropout uses the network's seed. */
  seed?: number | undefined
  /** Largest random shift of a training image along each axis, in pixels. Default 0. */
  shift?: number | undefined
  /** Value of the pixels that enter at the border of a shifted image, 0 to 255. Default 0. */
  background?: number | undefined
  /**
   * Whether training images are mirrored left to right at random, with probability 1/2: for images in memory, IDX and CIFAR.
   * Image files have this option in `photoDataset`. Default false.
   */
  flip?: boolean | undefined
  /**
   * Action for a loss or gradient that is not finite, which the device has not applied. `stop` rejects with NOT_FINITE;
   * `skip` counts the step and continues; `back`, or { back: factor (0.1), times (3) }, returns to the last checkpoint and
   * continues with the rate times `factor`, at most `times` times. Default stop.
   */
  onNotFinite?: NotFiniteOption | undefined
}

/**
 * Checkpoints of a training. One is written at the end of each epoch and at the end of the training, and more often if
 * asked. Files are `step-00000123.safetensors`, and `best.safetensors` for the best validation accuracy.
 */
export interface CheckpointOptions {
  /** Folder of the checkpoints, created if missing. One training at a time writes in it. */
  folder: string
  /** Steps between checkpoints, at least 1. Default: no checkpoints by steps. */
  everySteps?: number | undefined
  /** Minutes between checkpoints, above 0. Default 10; with `everySteps`, no checkpoints by time. */
  everyMinutes?: number | undefined
  /** Number of checkpoints kept besides the best one, at least 1. Default 2. */
  keep?: number | undefined
  /** Called and awaited before a checkpoint gets its name, so that a log can be synced first. */
  before?: Callback<[]> | undefined
}

/** Action for a loss or gradient that is not finite. */
export type NotFinite = 'stop' | 'skip' | { readonly back: number; readonly times: number }

/**
 * Action for a loss or gradient that is not finite, as an option (see `TrainOptions`). `back` is a factor of the rate, above
 * 0 and below 1, default 0.1; `times` is how often the training may go back, at least 1, default 3.
 */
export type NotFiniteOption = 'stop' | 'skip' | 'back' | { readonly back: number; readonly times?: number }

const factor: Check<number> = (value, name) => {
  if (value !== 0) return fraction(value, name)
  throw unexpected('a factor above 0 and below 1', name, value)
}

const backChecks = { back: withDefault(factor, 0.1), times: withDefault(integer(1), 3) }

const notFinite: Check<NotFinite> = (value, name) => {
  if (value === 'stop' || value === 'skip') return value
  if (value === 'back') return readOptions({}, name, backChecks)
  if (isObject(value)) return objectOf(backChecks)(value, name)
  throw unexpected("'stop', 'skip', 'back' or { back: factor }", name, value)
}

/** The table of `CheckpointOptions`: checks, defaults and flags. */
export const checkpointTable = {
  folder: { check: filePath },
  everySteps: { check: optional(integer(1)) },
  everyMinutes: {
    check: withDefault(positive, 10),
    flag: '--minutes <m>',
    help: 'minutes between checkpoints within an epoch',
  },
  keep: {
    check: withDefault(integer(1), 2),
    flag: '--keep <n>',
    help: 'number of checkpoints kept besides the best one',
  },
  before: { check: optional(callback<Callback<[]>>()) },
} as const satisfies Record<keyof CheckpointOptions, OptionRow>

/** The options of checkpoints with their defaults; no checkpoints by steps or by time are Infinity. */
export type CheckpointSettings = Readonly<Checked<CheckpointChecks> & { everySteps: number }>
type CheckpointChecks = ReturnType<typeof checksOf<typeof checkpointTable>>

/** Reads the options of checkpoints; those by steps replace those by time unless both are given. */
export const checkpointCheck: Check<CheckpointSettings> = (value, name) => {
  const { everySteps, ...rest } = readOptions(value, name, checksOf(checkpointTable))
  const never = Number.POSITIVE_INFINITY
  if (everySteps === undefined) return { ...rest, everySteps: never }
  const { everyMinutes = never } = value as CheckpointOptions
  return { ...rest, everySteps, everyMinutes }
}

/** A row of the table of recorded options. */
interface RecordedRow extends OptionRow {
  /** Where run.json records the option: in its section `training`, or at the top level. */
  readonly section: 'training' | 'run'
}

const microBatch: Check<number | 'auto'> = (value, name) => (value === 'auto' ? value : integer(1)(value, name))

/**
 * The table of recorded options: check, default, flag, help text and section of run.json. The command line, run.json,
 * checkpoints and `preflight` derive theirs from it: a new option is a row here, a property above, and its use.
 */
export const trainTable = {
  epochs: {
    check: optional(integer(1, mostEpochs)),
    section: 'training',
    flag: '--epochs <n>',
    help: 'passes over the training images (default: 74, or as many as make 2000 steps)',
  },
  batch: {
    check: optional(integer(1)),
    section: 'training',
    flag: '--batch <n>',
    help: 'images of a step (default: an eighth of the images, rounded down to a power of two, from 32 to 256)',
  },
  dropLast: {
    check: withDefault(boolean, false),
    section: 'training',
    flag: '--drop-last',
    help: 'leave out the images of an epoch that are no whole batch',
  },
  microBatch: {
    check: optional(microBatch),
    section: 'training',
    flag: '--micro-batch <n>',
    help: 'images computed at once; auto: as many as fit into memory (default: auto)',
  },
  learningRate: {
    check: withDefault(float32(positive), 0.01),
    section: 'training',
    flag: '--learning-rate <rate>',
    help: 'learning rate at the start',
  },
  momentum: {
    check: withDefault(fraction, 0.9),
    section: 'training',
    flag: '--momentum <m>',
    help: 'momentum of SGD, from 0 to below 1',
  },
  weightDecay: {
    check: withDefault(float32(nonNegative), 5e-4),
    section: 'training',
    flag: '--weight-decay <l2>',
    help: 'L2 multiplier of all parameters',
  },
  schedule: {
    check: optional(scheduleCheck),
    section: 'training',
    flag: '--schedule <kind>',
    help: 'learning rate schedule (default: plateau with validation images, else constant)',
    choices: scheduleKinds,
  },
  rateFactors: {
    check: rateFactors,
    section: 'run',
    flag: '--rate-factors <factors>',
    help: 'multipliers of the learning rate by layer: fc8=10,fc7=2 (default: 1 each)',
  },
  freeze: {
    check: withDefault(arrayOf(text), []),
    section: 'run',
    flag: '--freeze <layers>',
    help: 'layers or blocks that do not learn: conv1_1,conv2 (default: none)',
  },
  onNotFinite: {
    check: withDefault<NotFinite>(notFinite, 'stop'),
    section: 'training',
    flag: '--on-not-finite <action>',
    help: 'action for a loss or gradient that is not finite; back: return to the last checkpoint',
    choices: ['stop', 'skip', 'back'],
  },
  seed: {
    check: withDefault(seed, 0),
    section: 'run',
    flag: '--seed <n>',
    help: 'seed of weights, dropout, order, augmentation and the split',
  },
  shift: {
    check: withDefault(integer(0), 0),
    section: 'run',
    flag: '--shift <pixels>',
    help: 'largest random shift of an image along each axis',
  },
  background: {
    check: withDefault(integer(0, 255), 0),
    section: 'run',
    flag: '--background <value>',
    help: 'value of pixels around small and shifted images, 0 (black) to 255',
  },
  // its flag, --flip, is also that of image files
  flip: { check: withDefault(boolean, false), section: 'run' },
} as const satisfies Record<keyof RecordedTrainOptions, RecordedRow>

type Table = typeof trainTable
type Section = RecordedRow['section']
type NameIn<S extends Section> = { [K in keyof Table]: Table[K]['section'] extends S ? K : never }[keyof Table]
type NameWithDefault = {
  [K in keyof Table]: Table[K]['check'] extends { readonly fallback: unknown } ? K : never
}[keyof Table]

/** The options in a section of run.json as they are asked for. Those without a default may be absent. */
export type RequestedIn<S extends Section> = Readonly<
  Required<Pick<RecordedTrainOptions, NameIn<S> & NameWithDefault>> &
    Pick<RecordedTrainOptions, Exclude<NameIn<S>, NameWithDefault>>
>

/** The options in a section of run.json, with those whose defaults follow from the number of training images. */
export type RecordedIn<S extends Section> = RequestedIn<S> &
  Readonly<Required<Pick<RecordedTrainOptions, NameIn<S> & ('epochs' | 'batch')>>>

const rowsIn = (section: Section) =>
  Object.entries<RecordedRow>(trainTable).filter(([, row]) => row.section === section)

/** The checks of the options in a section of run.json. */
export const checksIn = <S extends Section>(section: S): { [K in NameIn<S>]: Table[K]['check'] } =>
  checksOf(Object.fromEntries(rowsIn(section))) as never

/** The options of a section of run.json, with defaults for those that are not given. */
export function requestedIn<S extends Section>(section: S, given: Partial<RecordedTrainOptions>): RequestedIn<S> {
  const values = rowsIn(section).map(([name, { check }]) => [name, given[name as keyof Table] ?? fallbackOf(check)])
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as RequestedIn<S>
}

/** The options as checkpoints record them: plain data, with every default. */
export type RecordedOptions = Readonly<Omit<Checked<typeof trainChecks>, 'microBatch' | keyof SizedOptions>> & {
  /** Images computed at once; null: the batch. */
  readonly microBatch: number | null
} & SizedOptions

/** The checks of recorded options. */
export const trainChecks = checksOf(trainTable)
