import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Initialisation } from '../../network/open.js'
import type { PlanName } from '../../run/plan.js'
import type { ScheduleOption } from '../../train/schedule.js'
import { addDataFlags, type DataFlags } from './data-flags.js'
import {
  addDeviceFlags,
  addModelFlags,
  type DeviceFlags,
  file,
  type ModelFlags,
  names,
  number,
  numbers,
  numbersByName,
  smallestSide,
} from './flags.js'

const examples = `
Examples:
  $ vggnet train photos --variant D --plan paper-transplant --out runs/photos
  $ vggnet train photos --variant A --image-size 64 --head-width 512 --batch 64 --epochs 20
  $ vggnet train --resume runs/photos
  $ vggnet train photos --from model.safetensors --freeze conv1_1,conv1_2 --rates fc8=10 --learning-rate 0.001
  $ vggnet train --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\
                 --variant A --image-size 32 --head-width 512 --initialisation he --batch 64 --schedule cosine

A run has a folder (--out): run.json, log.jsonl, events for TensorBoard, checkpoints/, and in the end model.safetensors.
Killed at any moment it goes on with --resume, to the same bytes as if nothing had happened; Ctrl-C saves first, and a
second Ctrl-C leaves at once. 'vggnet report RUN' makes a page of it.`

/** The flags that say what a training is made of. */
export interface DescriptionFlags extends DataFlags, ModelFlags, DeviceFlags {
  split: number
  exact?: true
  from?: string
  transplant?: string
  initialisation?: Initialisation
  mean?: number[]
  scale?: number[]
  smallestSide?: number | [number, number]
  crop: boolean
  flip: boolean
  colour: boolean
  threads?: number
  epochs: number
  batch: number
  microBatch: number | 'auto'
  learningRate: number
  rate?: number
  momentum: number
  weightDecay: number
  schedule?: NonNullable<ScheduleOption> & string
  patience?: number
  drops?: number
  divisor?: number
  every?: number
  warmup?: number
  freeze?: string[]
  rates?: Record<string, number>
  onNotFinite: 'stop' | 'skip' | 'back'
  keep: number
  minutes: number
  seed: number
  shift: number
  background: number
}

/** The flags of `vggnet train`. */
export interface TrainFlags extends DescriptionFlags {
  plan?: PlanName
  resume?: string
  out?: string
  differences: 'refuse' | 'accept'
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
  return command
    .optionsGroup('Run:')
    .addOption(new Option('--plan <name>', 'of the paper, Sect. 3.1').choices(['paper', 'paper-transplant']))
    .option('--out <folder>', 'of the run (default: the first of runs/1, runs/2, ... that is free)')
    .option('--resume <folder>', 'go on with the run in this folder, as it was begun; alone, or with --json')
    .addOption(
      new Option(
        '--differences <what>',
        'of data, device, threads or tuning, where a run goes on: not bit for bit then',
      )
        .choices(['refuse', 'accept'])
        .default('refuse'),
    )
    .option('--no-check', 'without the look at memory, images and activations beforehand (vggnet check)')
    .option('--json', 'JSON lines on the standard output: each epoch, and the end')
}

function addCropFlags(command: Command): Command {
  return command
    .option('--split <share>', 'share held out for validation, where the data have no such part; 0: none', number, 0.1)
    .optionsGroup('Images (each random augmentation can be switched off):')
    .option('--smallest-side <s>', 'S: 256, or 256-512 to draw from (default: image size * 256 / 224)', smallestSide)
    .option('--no-crop', 'the middle instead of a random crop')
    .option('--no-flip', 'no random mirroring')
    .option('--no-colour', 'no random shift of red, green and blue')
    .optionsGroup('Images:')
    .option('--shift <pixels>', 'move each at random by up to so many pixels', number, 0)
    .option('--background <value>', 'pixels around small and moved ones, 0 (black) to 255', number, 0)
}

function addStartFlags(command: Command): Command {
  return addModelFlags(command.optionsGroup('Network:'))
    .addOption(
      new Option(
        '--initialisation <scheme>',
        'of the weights; with --from of a new last layer (default: glorot)',
      ).choices(['glorot', 'he', 'paper']),
    )
    .addOption(
      new Option(
        '--from <model>',
        'go on from a model; the network is its own but for --classes (with a new last layer, where they are others) and --dropout',
      )
        .argParser(file)
        .conflicts('transplant'),
    )
    .option('--transplant <model>', "take the layers of the paper's deeper nets from this model of A", file)
    .option(
      '--mean <values>',
      'subtracted from each channel (default: mean of the training images, border included)',
      numbers,
    )
    .option('--scale <values>', 'multiplier after that (default: 1/58; 1 for paper)', numbers)
}

function addComputingFlags(command: Command): Command {
  const withDevice = addDeviceFlags(command.optionsGroup('Device:'), 'auto')
  return withDevice.option('--threads <n>', 'threads on the cpu', number)
}

function addTrainingFlags(command: Command): Command {
  return command
    .optionsGroup('Training:')
    .option('--epochs <n>', 'passes through the images', number, 74)
    .option('--batch <n>', 'images per step', number, 256)
    .option('--micro-batch <n>', "images computed at a time; 'auto': as many as fit into memory", microBatch, 'auto')
    .option('--learning-rate <rate>', 'at the start', number, 0.01)
    .addOption(new Option('--rate <rate>', 'the same, in short').argParser(number).conflicts('learningRate'))
    .option('--momentum <m>', 'from 0 to below 1', number, 0.9)
    .option('--weight-decay <l2>', 'L2 multiplier', number, 5e-4)
    .addOption(
      new Option('--schedule <kind>', 'of the rate (default: plateau with validation, else constant)').choices([
        'plateau',
        'constant',
        'step',
        'cosine',
      ]),
    )
    .option('--patience <epochs>', 'plateau: epochs without improvement before the rate falls (default: 3)', number)
    .option('--drops <n>', 'plateau: how often it may fall (default: 3)', number)
    .option('--divisor <d>', 'plateau, step: what the rate is divided by (default: 10)', number)
    .option('--every <epochs>', 'step: epochs between two falls (default: 20)', number)
    .option('--warmup <epochs>', 'cosine: epochs of rising (default: 0.5)', number)
    .option('--freeze <layers>', 'that no step changes: conv1_1,conv1_2; a block: conv1', names)
    .option('--rates <factors>', "of single layers' rates: fc8=10,fc7=2", numbersByName)
    .addOption(
      new Option('--on-not-finite <what>', 'where a loss or gradient is not finite: back goes to the last checkpoint')
        .choices(['stop', 'skip', 'back'])
        .default('stop'),
    )
    .option('--keep <n>', 'checkpoints kept: the last n, and the best', number, 2)
    .option('--minutes <m>', 'between checkpoints, besides those after each epoch', number, 10)
    .option('--seed <n>', 'of weights, dropout, order and all changes by chance', number, 0)
}

/** Adds the flags of {@link DescriptionFlags}. */
export function addDescriptionFlags(command: Command): Command {
  return addComputingFlags(addTrainingFlags(addStartFlags(addCropFlags(addDataFlags(command)))))
}

/** Adds the flags of {@link TrainFlags}, and the examples. */
export function addTrainFlags(command: Command): Command {
  return addDescriptionFlags(addRunFlags(command)).addHelpText('after', examples)
}

/** The schedule that the flags state, or undefined for the default of `train`. */
export function scheduleOf(flags: DescriptionFlags): ScheduleOption | undefined {
  const { patience, drops, divisor, every, warmup } = flags
  const figures = Object.entries({ patience, drops, divisor, every, warmup }).filter(([, value]) => value !== undefined)
  if (figures.length === 0) return flags.schedule
  // A figure without a kind is for the plateau, the default; one that its kind has no use for is refused by `train`.
  return { kind: flags.schedule ?? 'plateau', ...Object.fromEntries(figures) } as ScheduleOption
}
