import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Device } from '../../network/open.js'
import { descriptionChecks, type RunDescription, type RunRequest } from '../../run/description.js'
import type { PlanName } from '../../run/plan.js'
import { checkpointTable, type RecordedIn, requestedIn, trainTable } from '../../train/options.js'
import { type Schedule, type ScheduleOption, scheduleTable } from '../../train/schedule.js'
import { callTable } from '../../train/settings.js'
import { modelTable } from '../../vgg/configuration.js'
import { smallestSideCheck } from '../../vgg/preprocessing.js'
import { addDataFlags, type DataFlags, dataOf, readingOf } from './data-flags.js'
import {
  addDeviceFlags,
  addInitialFlags,
  addModelFlags,
  addTable,
  addThreadsFlag,
  checked,
  type DeviceFlags,
  defaultVariant,
  given,
  type InitialFlags,
  type ModelFlags,
  names,
  number,
  numbers,
  numbersByName,
  smallestSide,
  source,
  typedPath,
} from './flags.js'

const examples = `
Examples:
  $ vggnet train photos --variant D --plan paper-transplant --out runs/photos
  $ vggnet train photos --variant A --image-size 64 --head-width 512 --batch 64 --epochs 20
  $ vggnet train --resume runs/photos
  $ vggnet train photos --from model.safetensors --freeze conv1_1,conv1_2 --rate-factors fc8=10 --learning-rate 0.001
  $ vggnet train --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\
                 --variant A --image-size 32 --head-width 512 --initialisation he --batch 64 --schedule cosine

The folder of a run (--out) holds run.json, log.jsonl, TensorBoard events, checkpoints/ and finally model.safetensors.
A run that was killed continues with --resume and ends with the same bytes. Ctrl-C saves the run and stops it; a second
Ctrl-C stops at once. 'vggnet report RUN' makes a page of a run.`

type ScheduleFlags = { [K in keyof typeof scheduleTable]?: K extends 'at' ? number[] : number }
type RecordedFlags = Partial<Omit<RecordedIn<'training'>, 'schedule'> & RecordedIn<'run'>>

/** The flags of a run's description. */
export interface DescriptionFlags
  extends DataFlags,
    ModelFlags,
    InitialFlags,
    DeviceFlags,
    RecordedFlags,
    ScheduleFlags {
  split: number
  from?: string
  transplant?: string
  smallestSide?: number | [number, number]
  crop: boolean
  flip?: boolean
  colour: boolean
  threads?: number
  schedule?: Schedule['kind']
  keep?: number
  minutes?: number
}

/** The flags of `vggnet train`. */
export interface TrainFlags extends DescriptionFlags {
  plan?: PlanName
  resume?: string
  out?: string
  differences?: 'refuse' | 'accept'
  frozenFeatures?: 'auto' | 'off'
  json?: true
  check: boolean
}

function microBatch(value: string): number | 'auto' {
  if (value === 'auto') return value
  const read = number(value)
  if (!Number.isInteger(read)) throw new InvalidArgumentError("Expected an integer or 'auto'.")
  return read
}

function addRunFlags(command: Command): Command {
  command
    .optionsGroup('Run:')
    .addOption(
      new Option('--plan <name>', 'training plan of the paper, Sect. 3.1 (default: none)').choices([
        'paper',
        'paper-transplant',
      ]),
    )
    .option('--out <folder>', 'folder of the run (default: the first of runs/1, runs/2, ... that is free)', typedPath)
    .option('--resume <folder>', 'continue the run in this folder, with its own options', typedPath)
  return addTable(command, callTable)
    .option('--no-check', 'skip the check of memory, images and activations (vggnet check)')
    .option('--json', 'JSON lines on the standard output: each epoch, and the end')
}

const { shift, background, ...trainingTable } = trainTable

function addCropFlags(command: Command): Command {
  command
    .option(
      '--split <share>',
      'share of the images held out if the data have no validation part',
      checked(number, descriptionChecks.validation, '--split'),
      0.1,
    )
    .optionsGroup('Images (each random augmentation can be switched off):')
    .option(
      '--smallest-side <s>',
      'smaller side S after scaling: 256, or 256-512 for a random one (default: image size * 256 / 224)',
      checked(smallestSide, smallestSideCheck, '--smallest-side'),
    )
    .option('--no-crop', 'central crops instead of random ones')
    .option('--flip', 'random mirroring (default: for image files, not for IDX and CIFAR)')
    .option('--no-flip', 'no random mirroring of image files')
    .option('--no-colour', 'no random colour shift')
    .optionsGroup('Images:')
  return addTable(command, { shift, background })
}

function addStartFlags(command: Command): Command {
  const withModel = addInitialFlags(addModelFlags(command.optionsGroup('Network:')))
  return withModel
    .addOption(
      new Option(
        '--from <source>',
        'model or trained weights of another program to continue from; only --classes (new last layer) and --dropout may differ',
      )
        .argParser(source)
        .conflicts('transplant'),
    )
    .option('--transplant <model>', 'model of A whose layers initialise the deeper networks of the paper', source)
}

function addTrainingFlags(command: Command): Command {
  const parsers = { microBatch, freeze: names, rateFactors: numbersByName }
  const recorded = addTable(command.optionsGroup('Training:'), trainingTable, parsers)
  return addTable(addTable(recorded, scheduleTable, { at: numbers }), checkpointTable)
}

/** Adds the flags of {@link DescriptionFlags}. */
export function addDescriptionFlags(command: Command): Command {
  const described = addTrainingFlags(addStartFlags(addCropFlags(addDataFlags(command))))
  return addThreadsFlag(addDeviceFlags(described.optionsGroup('Device:'), 'auto'))
}

/** Adds the flags of {@link TrainFlags}, and the examples. */
export function addTrainFlags(command: Command): Command {
  return addDescriptionFlags(addRunFlags(command)).addHelpText('after', examples)
}

/** What is asked of a run by the arguments of `vggnet train` and `vggnet check`. @throws INVALID_ARGUMENT */
export function descriptionOf(data: string | undefined, flags: DescriptionFlags): RunRequest {
  const { keep, everyMinutes } = checkpointTable
  const { microBatch = 'auto' } = flags
  const options = { ...flags, microBatch, schedule: scheduleOf(flags) }
  return {
    data: dataOf(data, flags),
    validation: flags.split,
    ...given({ classNames: flags.classNames, emptyClasses: flags.emptyClasses }),
    photographs: {
      ...readingOf(flags),
      ...given({ smallestSide: flags.smallestSide }),
      randomCrop: flags.crop,
      flip: flags.flip ?? true,
      colour: flags.colour,
    },
    model: modelOf(flags),
    start: given({ from: flags.from, transplant: flags.transplant }),
    ...requestedIn('run', options),
    training: requestedIn('training', options),
    checkpoints: {
      keep: flags.keep ?? keep.check.fallback,
      minutes: flags.minutes ?? everyMinutes.check.fallback,
    },
    device: deviceOf(flags),
  }
}

/** The schedule of the flags, or undefined for the default of `train`. */
function scheduleOf({ schedule, ...flags }: DescriptionFlags): ScheduleOption | undefined {
  const names = Object.keys(scheduleTable) as (keyof ScheduleFlags)[]
  const values = given(Object.fromEntries(names.map((name) => [name, flags[name]])))
  if (Object.keys(values).length === 0 && schedule !== 'milestones') return schedule
  // without a kind the values are for the default, plateau; `train` refuses those of another kind
  return { kind: schedule ?? 'plateau', ...values } as ScheduleOption
}

function modelOf(flags: DescriptionFlags): RunDescription['model'] {
  const { variant, initialisation, classes, channels, imageSize, width, headWidth, dropout, localNorm, mean, scale } =
    flags
  const shape = { classes, channels, imageSize, width, headWidth, dropout, localNorm }
  // a model to continue from has its own values, and only given ones are compared with them
  const defaults =
    flags.from === undefined
      ? { variant: defaultVariant, initialisation: modelTable.initialisation.check.fallback }
      : {}
  return { ...defaults, ...given({ variant, initialisation, ...shape, meanRgb: mean, scale }) }
}

function deviceOf({
  device = 'auto',
  precision,
  deterministic,
  threads,
  exact,
}: DescriptionFlags): RunDescription['device'] {
  return { device: device as Device, ...given({ precision, deterministic, threads, exact }) }
}
