import { createHash } from 'node:crypto'
import { type Dataset, datasetCheck, imageText } from '../data/dataset.js'
import { checkLoading } from '../data/loader.js'
import { VggError } from '../error.js'
import { type Layer, layersWithParameters, parameterCount } from '../layer.js'
import { checkHead } from '../network/arguments.js'
import { describe } from '../network/describe.js'
import { microBatchFor } from '../network/fitting-batch.js'
import { factorsByLayer, layersIn } from '../network/layer-groups.js'
import { Network } from '../network/network.js'
import {
  type Callback,
  type Checked,
  callback,
  checksOf,
  instanceOf,
  isObject,
  type OptionRow,
  oneOf,
  optional,
  readOptions,
  unexpected,
  withDefault,
} from '../options.js'
import { valuesOf } from '../tensor.js'
import type { CheckpointEvent, EpochEvent, FeaturesEvent, RefusedEvent, StepEvent } from './events.js'
import {
  type CheckpointOptions,
  checkpointCheck,
  type RecordedOptions,
  type RecordedTrainOptions,
  trainChecks,
} from './options.js'
import { checkHeldOut } from './schedule.js'
import { checkBatch, sizedOptions } from './sized-options.js'
import { stateCheck, type TrainingState } from './training-state.js'

/**
 * Options of `train`. Defaults are those of the paper, section 3.1, except that batch, epochs and patience depend on the
 * number of training images below 17,000; for a resumed training, the recorded options.
 */
export interface TrainOptions<LayerName extends string = string> extends RecordedTrainOptions<LayerName> {
  /** Images held out. Their accuracy is reported after each epoch and steers the schedule `plateau`. Default: none. */
  validation?: Dataset | undefined
  /** Folder and frequency of checkpoints, from which the training can be resumed. Default: no checkpoints. */
  checkpoint?: CheckpointOptions | undefined
  /** State that `loadTraining` returned with the network. Options that are left out are those recorded in it. */
  resume?: TrainingState | undefined
  /**
   * Whether a training may be resumed with other data, options, device, precision or threads; its result is then not equal
   * bit for bit. `refuse` rejects with RESUME_MISMATCH. Default refuse.
   */
  differences?: 'refuse' | 'accept' | undefined
  /**
   * Frozen leading layers are computed once for each image, into the subfolder `features` of the folder of checkpoints, if
   * nothing but flips is random in the images: the result is the same, bit for bit on the CPU. The subfolder is removed at the
   * end. `off` computes them in each step. Default auto.
   */
  frozenFeatures?: 'auto' | 'off' | undefined
  /** Called with sentences for the user that are no errors. */
  onNotice?: Callback<[text: string]> | undefined
  /** Called as the output of frozen leading layers is computed once; a returned promise is awaited. */
  onFeatures?: Callback<[event: FeaturesEvent]> | undefined
  /**
   * Called after each step, in order; again for steps that are repeated after going back. A returned promise is awaited:
   * the next step is computed meanwhile, and no further one begins.
   */
  onStep?: Callback<[event: StepEvent]> | undefined
  /**
   * Called after each epoch, before its checkpoint; a returned promise is awaited. Called again for the epoch if the process
   * is killed before that checkpoint is written.
   */
  onEpoch?: Callback<[event: EpochEvent]> | undefined
  /** Called for each step that was not finite, whatever the action; a returned promise is awaited before the action. */
  onRefused?: Callback<[event: RefusedEvent]> | undefined
  /**
   * Called when a checkpoint is on disk, while the training continues. A returned promise is awaited before the next
   * checkpoint is written; its error ends the training after the steps in flight.
   */
  onCheckpoint?: Callback<[event: CheckpointEvent]> | undefined
  /**
   * Ends the training after the steps in flight: it rejects with ABORTED, and the network stays usable. With `checkpoint`
   * the training is saved first.
   */
  signal?: AbortSignal | undefined
}

/** The names of layers that a network's type has, for `freeze` and `rateFactors`. */
export type LayerNameOf<Net extends Network> = Parameters<Net['freeze']>[0][number]

/** The table of the options that are not recorded: they do not decide what a training computes, or hold what does. */
export const callTable = {
  validation: { check: optional(datasetCheck) },
  checkpoint: { check: optional(checkpointCheck) },
  resume: { check: optional(stateCheck) },
  differences: {
    check: withDefault(oneOf('refuse', 'accept'), 'refuse'),
    flag: '--differences <action>',
    help: 'with --resume: action where data, device, threads or tuning differ; accepted, the result differs too',
    choices: ['refuse', 'accept'],
  },
  frozenFeatures: {
    check: withDefault(oneOf('auto', 'off'), 'auto'),
    flag: '--frozen-features <action>',
    help: 'auto: compute frozen leading layers once, on disk, if images differ only by flips; off: in each step',
    choices: ['auto', 'off'],
  },
  onNotice: { check: optional(callback<NonNullable<TrainOptions['onNotice']>>()) },
  onFeatures: { check: optional(callback<NonNullable<TrainOptions['onFeatures']>>()) },
  onStep: { check: optional(callback<NonNullable<TrainOptions['onStep']>>()) },
  onEpoch: { check: optional(callback<NonNullable<TrainOptions['onEpoch']>>()) },
  onRefused: { check: optional(callback<NonNullable<TrainOptions['onRefused']>>()) },
  onCheckpoint: { check: optional(callback<NonNullable<TrainOptions['onCheckpoint']>>()) },
  signal: { check: optional(instanceOf(AbortSignal)) },
} as const satisfies Record<Exclude<keyof TrainOptions, keyof RecordedTrainOptions>, OptionRow>

const checks = { ...trainChecks, ...checksOf(callTable) }

/** The options of a training with every default filled in. */
export interface Settings extends Omit<Checked<typeof checks>, keyof RecordedTrainOptions> {
  readonly recorded: RecordedOptions
}

/** The options given; where a training is resumed, on top of those that were recorded. */
function merged(options: TrainOptions): TrainOptions {
  if (!isObject(options) || options.resume === undefined) return options
  const { fingerprint } = stateCheck(options.resume, 'resume')
  const { microBatch, ...recorded } = fingerprint.options
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const before = { ...recorded, ...(microBatch !== null && { microBatch }) }
  // the size that fitted at the start is kept
  return { ...before, ...given, ...(given.microBatch === 'auto' && { microBatch: microBatch ?? recorded.batch }) }
}

/** Reads and checks the options of a training, and checks that data and network fit. */
export function settingsFrom(net: Network, data: Dataset, options: TrainOptions): Settings {
  const read = readOptions(merged(options), 'train options', checks)
  const { validation, checkpoint, onNotFinite } = read
  checkHeldOut(read.schedule, validation)
  if (typeof onNotFinite === 'object' && checkpoint === undefined) {
    const message = "Expected the option checkpoint for onNotFinite 'back', which goes back to one, but received none"
    throw new VggError('INVALID_ARGUMENT', message)
  }
  checkHead(instanceOf(Network)(net, 'net'), 'train')
  checkFit(net, datasetCheck(data, 'data'), 'data')
  if (validation !== undefined) checkFit(net, validation, 'validation')
  // a resumed training of an older version may have such a batch
  if (read.resume === undefined) checkBatch(read.batch, data.count)
  const sized = sizedOptions(read, data.count, validation !== undefined)
  checkLoading(data, { ...read, ...sized })
  const names = Object.keys(trainChecks) as (keyof typeof trainChecks)[]
  const values = Object.fromEntries(names.map((name) => [name, read[name]])) as Checked<typeof trainChecks>
  const layers = namedLayers(net.layers, read, net.frozen)
  const microBatch = microBatchOf(net, data, sized.batch, read.microBatch)
  return { ...read, recorded: { ...values, ...layers, ...sized, microBatch } }
}

function microBatchOf(net: Network, data: Dataset, batch: number, asked: number | 'auto' | undefined): number | null {
  if (asked !== 'auto') return asked ?? null
  const { layers, precision, deterministic, run } = net
  const device = net.device as 'cpu' | `cuda:${number}`
  const imageSize = [data.height, data.width] as const
  // the parameters are in memory already
  const held = 4 * parameterCount(layers)
  return microBatchFor(batch, { layers, device, precision, deterministic, exact: run.exact, imageSize, held })
}

/**
 * The options by layer with each name replaced by its layers.
 * @param frozen layers that are frozen already
 * @throws INVALID_ARGUMENT for an unknown name, with the likely one, and where no layer is left to learn
 */
export function namedLayers(
  layers: readonly Layer[],
  { rateFactors, freeze }: Required<Pick<RecordedTrainOptions, 'rateFactors' | 'freeze'>>,
  frozen: readonly string[] = [],
): Pick<RecordedOptions, 'rateFactors' | 'freeze'> {
  return {
    rateFactors: factorsByLayer(
      layers,
      trainChecks.rateFactors(rateFactors, 'rateFactors'),
      'rateFactors (--rate-factors)',
    ),
    freeze: frozenIn(layers, frozen, freeze),
  }
}

function frozenIn(layers: readonly Layer[], before: readonly string[], names: readonly string[]): string[] {
  const frozen = new Set([...before, ...layersIn(layers, names, 'freeze (--freeze)')])
  const all = layersWithParameters(layers)
  if (frozen.size === all.length) throw unexpected('at least one layer left to learn', 'freeze (--freeze)', [...frozen])
  return all.filter((name) => frozen.has(name))
}

function checkFit(net: Network, data: Dataset, name: string): void {
  const { channels, classes } = net
  if (data.channels !== channels) {
    const message = `Expected images with ${channels} channels for ${name} but they are ${imageText(data)}: create the network with channels: ${data.channels}, or convert the images`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (data.classNames.length > classes) {
    const found = data.classNames.length
    const message = `Expected at most ${classes} classes for ${name} but it has ${found}: create the network with classes: ${found}, or use replaceHead(net, { classes: ${found} })`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const { layers } = describe({ layers: net.layers, shape: [1, channels, data.height, data.width], training: true })
  const [, , ...map] = layers.at(-1)?.output ?? []
  if (map.every((side) => side === 1)) return
  const message = `Expected images of the network's size for ${name} but they are ${imageText(data)}, for which its output is a map of ${map.join('x')}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/** SHA-256 of the parameters of these layers, in order, at the time of the call. */
export async function hashOf(net: Network, layers: readonly string[]): Promise<string> {
  const names = net.parameters.map(({ name }) => name).filter((name) => layers.includes(name.replace(/\.\w+$/, '')))
  const hash = createHash('sha256')
  for (const tensor of await Promise.all(names.map((name) => net.parameter(name)))) hash.update(valuesOf(tensor))
  return hash.digest('hex')
}
