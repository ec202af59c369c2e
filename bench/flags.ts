// The command line of `npm run bench`.
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Device, Precision } from '../lib/index.js'
import type { Mode } from '../lib/measure/ours.js'
import type { Case } from './cases.js'
import type { Ceilings } from './roofline.js'

export interface Flags {
  readonly variant?: string
  readonly imageSize?: number
  readonly batch?: number
  readonly headWidth?: number
  readonly classes?: number
  readonly mode?: Mode
  readonly device: Device
  readonly precision?: Precision
  readonly rounds: number
  readonly milliseconds?: number
  readonly stages?: true
  readonly ceilings?: Ceilings
  readonly threads?: number
  /** The folder of the baselines. True stands for the folder of `npm run bench:peers`. */
  readonly peers?: string | true
  readonly peer?: string
  readonly alone?: true
  readonly scaling?: true
  readonly limit?: number
  /** The file of the results. True stands for lines on the standard output. */
  readonly json?: string | true
}

function positive(value: string): number {
  const read = Number(value)
  if (!(read > 0)) throw new InvalidArgumentError('Expected a number above 0.')
  return read
}

/** Reads the value of a flag. @throws InvalidArgumentError */
export function whole(value: string): number {
  const read = Number(value)
  if (!(Number.isInteger(read) && read > 0)) throw new InvalidArgumentError('Expected an integer above 0.')
  return read
}

function ceilings(value: string): Ceilings {
  const [product, copy, ...more] = value.split(',').map(positive)
  if (!product || !copy || more.length > 0) throw new InvalidArgumentError('Expected TFLOP/s,TB/s: 788,4.3')
  return { flopsPerSecond: product * 1e12, bytesPerSecond: copy * 1e12 }
}

export function readFlags(args: readonly string[]): Flags {
  const command = new Command('npm run bench --')
    .description(
      'Measures the images per second of whole networks. Without variant, size, batch and mode: on the CPU the four cases that have goals, interleaved with PyTorch and onnxruntime-node if `npm run bench:peers` has installed them; on a GPU ten cases of VGG-16 and VGG-11.',
    )
    .option('--variant <name>', 'A, A-LRN, B, C, D, E (default: D)')
    .option('--image-size <pixels>', 'side of the images (default: 224)', whole)
    .option('--batch <n>', 'images per step (default: 8)', whole)
    .option('--head-width <n>', 'outputs of fc6 and fc7 (default: 4096)', whole)
    .option('--classes <n>', 'outputs of the last layer (default: 1000)', whole)
    .addOption(
      new Option('--mode <mode>', 'the call that is timed (default: training)').choices(['training', 'inference']),
    )
    .option('--device <name>', 'cpu, cuda, cuda:1', 'cpu')
    .addOption(
      new Option('--precision <name>', "precision of the computation (default: the device's)").choices([
        'float32',
        'tf32',
        'bf16',
      ]),
    )
    .option('--rounds <n>', 'interleaved rounds', whole, 7)
    .option('--milliseconds <ms>', 'time of one round, at least one run (default: 400 on a GPU, else 1000)', positive)
    .option('--stages', 'also measure each stage')
    .option('--ceilings <flops,bytes>', "the GPU's TFLOP/s and TB/s (default: measured with PyTorch)", ceilings)
    .option('--threads <n>', 'CPU threads of vggnet and the baselines (default: one for each processor)', whole)
    .option('--peers [folder]', 'on the CPU: interleave with the baselines that `npm run bench:peers` has installed')
    .option('--peer <python>', 'Python with PyTorch, the baseline (default: that of --peers; on a GPU python3)')
    .option('--alone', 'without baselines; on a GPU PyTorch still measures the ceilings')
    .option('--scaling', 'on the CPU: one thread interleaved with two, or with --threads, instead of the baselines')
    .option('--limit <seconds>', 'time after which no further case is started', positive)
    .option(
      '--json [file]',
      'write the results to a file; without a file, print a line of JSON for each case and baseline, and the text to stderr',
    )
    .parse(args, { from: 'user' })
  const flags = command.opts<Flags>()
  if (flags.scaling && flags.device.startsWith('cuda')) command.error('error: --scaling is for the CPU')
  return flags
}

/** The case that the flags name; undefined if they name none. */
export function namedCase({ variant, imageSize, batch, mode, headWidth, classes }: Flags): Case | undefined {
  if ([variant, imageSize, batch, mode].every((flag) => flag === undefined)) return undefined
  return {
    variant: variant ?? 'D',
    imageSize: imageSize ?? 224,
    batch: batch ?? 8,
    mode: mode ?? 'training',
    headWidth: headWidth ?? 4096,
    classes: classes ?? 1000,
  }
}

/** Whether the CPU is compared with baselines: if a flag asks for it, and in the cases that have goals. */
export function wantsBaselines(flags: Flags): boolean {
  if (flags.alone || flags.scaling) return false
  return flags.peers !== undefined || flags.peer !== undefined || namedCase(flags) === undefined
}
