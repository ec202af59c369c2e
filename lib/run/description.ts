import { type ColourShift, colourShiftCheck } from '../data/images/colour.js'
import type { SmallestSide } from '../data/images/crop.js'
import { type DecodingOptions, decodingChecks } from '../data/images/formats.js'
import { folderChecks } from '../data/sources/folder.js'
import { photoChecks } from '../data/sources/photo-options.js'
import { VggError } from '../error.js'
import { type RunOptions, runChecks } from '../network/open.js'
import {
  boolean,
  type Check,
  type Checks,
  filePath,
  fraction,
  isObject,
  objectOf,
  oneOf,
  optional,
  text,
  unexpected,
} from '../options.js'
import { checkpointTable, checksIn, type RecordedIn, type RequestedIn, requestedIn } from '../train/options.js'
import { namedLayers } from '../train/settings.js'
import { layersOf, modelChecks } from '../vgg/configuration.js'
import type { ModelOptions } from '../vgg/options.js'
import { smallestSideCheck } from '../vgg/preprocessing.js'
import { type VariantRow, variant } from '../vgg/variants.js'

/** Location of the images of a run. */
export type DataDescription =
  /** A folder with one sub-folder for each class, optionally under train/ and val/, or with CIFAR's binary files. */
  | { readonly kind: 'folder'; readonly path: string }
  /** A CSV or TSV file of path and label. */
  | { readonly kind: 'list'; readonly path: string; readonly validationPath?: string }
  | {
      readonly kind: 'idx'
      readonly images: string
      readonly labels: string
      readonly validationImages?: string
      readonly validationLabels?: string
    }

/**
 * Everything that a run depends on, from the images to the model: plain data, kept as run.json in the run's folder. The
 * options of `train` have the same names and meanings here.
 */
export interface RunDescription extends RecordedIn<'run'> {
  /** Location of the images. */
  readonly data: DataDescription
  /** Share of the images held out if the data have no validation part, 0 to below 1. */
  readonly validation: number
  /** Expected class names, in order. Default: those found. */
  readonly classNames?: readonly string[]
  /** Action for a class folder without an image, as in `FolderOptions`. Default refuse. */
  readonly emptyClasses?: 'refuse' | 'skip'
  /** Decoding and cropping of image files, as in `PhotoOptions`. */
  readonly photographs: Readonly<DecodingOptions> & {
    /** Smaller side S after scaling (Sect. 3.1), in pixels. Default: 256/224 of the crop. */
    readonly smallestSide?: SmallestSide
    /** Random crops in training instead of the central one. */
    readonly randomCrop: boolean
    /** Random mirroring in training. */
    readonly flip: boolean
    /** Random colour shift in training; true: fitted on the training images. */
    readonly colour: boolean | ColourShift
    /** Action for an image that cannot be read: skip and count it, or reject. */
    readonly onUnreadable: 'skip' | 'throw'
    /** Folder of the cache of decoded images. Default: no cache. */
    readonly cache?: string
    /** Number of images decoded at once. */
    readonly workers?: number
  }
  /**
   * Options of `VGG.create`; those left out follow from the data or have their defaults. With `start.from` the network is
   * that of the model: options left out are the model's, `classes`, `dropout` and, for a new last layer, `initialisation`
   * are applied, and any other value than the model's is refused.
   */
  readonly model: Readonly<
    Pick<ModelOptions, 'channels' | 'width' | 'headWidth' | 'dropout' | 'localNorm' | 'initialisation'>
  > & {
    /** Letter or name of a configuration, or a table row. May be left out only with `start.from`. */
    readonly variant?: string | VariantRow
    /** Number of outputs of the last layer. Default: the number of classes in the data. */
    readonly classes?: number
    /** Height and width of the images. Default 224, or the size of the data. */
    readonly imageSize?: readonly [height: number, width: number]
    /** Mean of each channel, which is subtracted. Default: the mean of the training images. */
    readonly meanRgb?: number | readonly number[]
    /** Multiplier of each channel after the mean. */
    readonly scale?: number | readonly number[]
  }
  /** Model from which weights are taken. Default: none, all weights are random. */
  readonly start: {
    /** Model to continue from, with a new last layer if its classes differ; not with `transplant`. */
    readonly from?: string
    /** Whether the last layer of that model was kept; recorded by `createRun`. */
    readonly lastLayer?: 'kept' | 'new'
    /** Model of configuration A whose layers initialise the deeper networks of the paper (Sect. 3.1). */
    readonly transplant?: string
  }
  /** Options of `train`. */
  readonly training: RecordedIn<'training'>
  /** Number and frequency of checkpoints. */
  readonly checkpoints: {
    /** Number of checkpoints kept besides the best one, at least 1. */
    readonly keep: number
    /** Minutes between checkpoints, above 0. */
    readonly minutes: number
  }
  /** Options of the device. */
  readonly device: Readonly<Pick<RunOptions, 'precision' | 'deterministic' | 'threads' | 'exact'>> &
    Readonly<Required<Pick<RunOptions, 'device'>>>
}

/** A run as it is asked for: options of `train` that are left out follow from the images. */
export interface RunRequest extends Omit<RunDescription, 'training'> {
  /** Options of `train`. */
  readonly training: RequestedIn<'training'>
}

const kindsOfData = {
  folder: { kind: text, path: filePath },
  list: { kind: text, path: filePath, validationPath: optional(filePath) },
  idx: {
    kind: text,
    images: filePath,
    labels: filePath,
    validationImages: optional(filePath),
    validationLabels: optional(filePath),
  },
} as const satisfies Record<DataDescription['kind'], Checks>

const kind = oneOf('folder', 'list', 'idx')

const data: Check<unknown> = (value, name) => {
  if (!isObject(value)) throw unexpected('an object', name, value)
  return objectOf<Checks>(kindsOfData[kind(value.kind, `${name}.kind`)])(value, name)
}

const colour: Check<boolean | ColourShift> = (value, name) =>
  isObject(value) ? colourShiftCheck(value, name) : boolean(value, name)

const imageSize: Check<readonly number[]> = (value, name) => {
  if (Array.isArray(value)) return modelChecks.imageSize(value, name)
  throw unexpected('[height, width]', name, value)
}

// a training needs a head
const { classNames: _, preprocessing: __, head: ___, ...shape } = modelChecks

/** The checks of a {@link RunDescription}, from the tables of the options that it holds. */
export const descriptionChecks = {
  data,
  validation: fraction,
  classNames: folderChecks.classNames,
  emptyClasses: folderChecks.emptyClasses,
  photographs: objectOf({
    ...decodingChecks,
    smallestSide: optional(smallestSideCheck),
    randomCrop: boolean,
    flip: boolean,
    colour,
    onUnreadable: oneOf('skip', 'throw'),
    cache: optional(filePath),
    workers: photoChecks.workers,
  }),
  model: objectOf({
    ...shape,
    variant: optional(shape.variant),
    classes: optional(shape.classes),
    imageSize: optional(imageSize),
  }),
  start: objectOf({
    from: optional(filePath),
    lastLayer: optional(oneOf('kept', 'new')),
    transplant: optional(filePath),
  }),
  ...checksIn('run'),
  training: objectOf(checksIn('training')),
  checkpoints: objectOf({ keep: checkpointTable.keep.check, minutes: checkpointTable.everyMinutes.check }),
  device: objectOf({
    device: runChecks.device,
    precision: runChecks.precision,
    deterministic: runChecks.deterministic,
    threads: runChecks.threads,
    exact: runChecks.exact,
  }),
} as const satisfies Record<keyof Omit<RunDescription, keyof RecordedIn<'run'>>, Check<unknown>> & Checks

/** Checks that the options of a new network agree, whatever the images; defaults stand for what follows from these. */
function checkModel({ model, rateFactors, freeze }: RunRequest): void {
  const { classes = 2, meanRgb, scale } = model
  const row = variant(model.variant, 'variant')
  const { channels = [meanRgb, scale].find(Array.isArray)?.length ?? 3 } = model
  namedLayers(layersOf({ ...model, variant: row, classes, channels }), { rateFactors, freeze })
}

/**
 * A checked description with every default of the recorded options.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH where options do not agree
 */
export function complete<Description extends RunRequest>(description: Description): Description {
  const training = { ...description.training, ...requestedIn('training', description.training) }
  const completed = { ...description, ...requestedIn('run', description), training }
  const { model, start } = completed
  if (start.from === undefined && model.variant === undefined) {
    throw unexpected('a variant, or start.from', 'description.model.variant', model.variant)
  }
  if (start.from !== undefined && start.transplant !== undefined) {
    const message = 'Expected from (--from) or transplant (--transplant), one source of weights, but received both'
    throw new VggError('INVALID_ARGUMENT', message)
  }
  if (start.from === undefined) checkModel(completed)
  return completed
}
