import { type Command, Option } from 'commander'
import type { Initialisation } from '../network/open.js'
import type { ScheduleOption } from '../train/schedule.js'
import { addDeviceFlags, addModelFlags, type DeviceFlags, type ModelFlags, names, number, numbers } from './flags.js'

const examples = `
Examples:
  $ vggnet train --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\
                 --val-images t10k-images-idx3-ubyte.gz --val-labels t10k-labels-idx1-ubyte.gz \\
                 --variant A --head-width 512 --initialisation he --batch 64 --epochs 10 --out digits.safetensors
  $ vggnet train --images i.idx --labels l.idx --split 0.2 --schedule cosine --shift 2 --json
  $ vggnet train --from digits.safetensors --images i.idx --labels l.idx --learning-rate 0.001 --epochs 3

Pictures smaller than the network's size are put in the middle of it, with --background around them.
Ctrl-C saves what is learned so far and prints the command that goes on with it; a second Ctrl-C leaves at once.`

/** The flags of `vggnet train`. */
export interface TrainFlags extends ModelFlags, DeviceFlags {
  images?: string
  labels?: string
  valImages?: string
  valLabels?: string
  split: number
  from?: string
  out: string
  json?: true
  initialisation: Initialisation
  mean?: number[]
  scale?: number[]
  classNames?: string[]
  threads?: number
  epochs: number
  batch: number
  microBatch?: number
  learningRate: number
  momentum: number
  weightDecay: number
  schedule?: NonNullable<ScheduleOption> & string
  patience?: number
  drops?: number
  divisor?: number
  every?: number
  warmup?: number
  seed: number
  shift: number
  background: number
}

function addDataFlags(command: Command): Command {
  return command
    .optionsGroup('Data:')
    .option('--images <file>', 'training pictures, IDX, plain or gzip')
    .option('--labels <file>', 'their classes, IDX')
    .option('--val-images <file>', 'pictures for validation, IDX')
    .option('--val-labels <file>', 'their classes, IDX')
    .option('--split <share>', 'share held out for validation, without --val-images; 0 for none', number, 0.1)
    .option('--class-names <names>', 'one for each class, with commas between them', names)
    .option('--from <model>', 'go on with a saved model, whatever network the other flags describe')
    .option('--out <file>', 'where the model is saved', 'model.safetensors')
    .option('--json', 'one JSON line per epoch, and one at the end')
}

function addStartFlags(command: Command): Command {
  return addModelFlags(command.optionsGroup('Network:'))
    .addOption(
      new Option('--initialisation <scheme>', 'of the weights').choices(['glorot', 'he', 'paper']).default('glorot'),
    )
    .option('--mean <values>', 'subtracted from each channel (default: mean of the training pictures)', numbers)
    .option('--scale <values>', 'multiplier after that (default: 1/58; 1 for paper)', numbers)
}

function addComputingFlags(command: Command): Command {
  const withDevice = addDeviceFlags(command.optionsGroup('Device:'), 'auto')
  return withDevice.option('--threads <n>', 'threads on the cpu', number)
}

function addRunFlags(command: Command): Command {
  return command
    .optionsGroup('Training:')
    .option('--epochs <n>', 'passes through the pictures', number, 74)
    .option('--batch <n>', 'pictures per step', number, 256)
    .option('--micro-batch <n>', 'pictures computed at a time, to save memory', number)
    .option('--learning-rate <rate>', 'at the start', number, 0.01)
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
    .option('--seed <n>', 'of weights, dropout, order and shifts', number, 0)
    .option('--shift <pixels>', 'move each training picture at random by up to so many pixels', number, 0)
    .option('--background <value>', 'pixels around small and moved pictures, 0 (black) to 255', number, 0)
}

/** Adds every flag of {@link TrainFlags}, and the examples. */
export function addTrainFlags(command: Command): Command {
  return addComputingFlags(addRunFlags(addStartFlags(addDataFlags(command)))).addHelpText('after', examples)
}

/** The schedule that the flags state, or undefined for the default of `train`. */
export function scheduleOf(flags: TrainFlags): ScheduleOption | undefined {
  const { patience, drops, divisor, every, warmup } = flags
  const figures = Object.entries({ patience, drops, divisor, every, warmup }).filter(([, value]) => value !== undefined)
  if (figures.length === 0) return flags.schedule
  // A figure without a kind is for the plateau, the default; one that its kind has no use for is refused by `train`.
  return { kind: flags.schedule ?? 'plateau', ...Object.fromEntries(figures) } as ScheduleOption
}
