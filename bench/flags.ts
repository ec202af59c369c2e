// The command line of `npm run bench`.
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Device, Precision } from '../lib/index.js'
import type { Mode } from '../lib/measure/case.js'
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
  /** True: in the folder where `npm run bench:peers` puts them. */
  readonly peers?: string | true
  readonly peer?: string
  readonly alone?: true
  readonly scaling?: true
  readonly limit?: number
  /** True: lines on the standard output. */
  readonly json?: string | true
}

function positive(value: string): number {
  const read = Number(value)
  if (!(read > 0)) throw new InvalidArgumentError('Expected a number above 0.')
  return read
}

function whole(value: string): number {
  const read = positive(value)
  if (!Number.isInteger(read)) throw new InvalidArgumentError('Expected an integer above 0.')
  return read
}

function ceilings(value: string): Ceilings {
  const [product, copy, ...more] = value.split(',').map(positive)
  if (!product || !copy || more.length > 0) throw new InvalidArgumentError('Expected TFLOP/s,TB/s: 788,4.3')
  return { flopsPerSecond: product * 1e12, bytesPerSecond: copy * 1e12 }
}

export function readFlags(words: readonly string[]): Flags {
  const command = new Command('npm run bench --')
    .description(
      'Images per second of a whole network. Without variant, size, batch and mode: on a processor the four cases that have goals, beside PyTorch and onnxruntime-node where `npm run bench:peers` has put them; on a card ten cases of VGG-16 and VGG-11.',
    )
    .option('--variant <name>', 'A, A-LRN, B, C, D, E (default: D)')
    .option('--image-size <pixels>', 'side of the images (default: 224)', whole)
    .option('--batch <n>', 'images a step (default: 8)', whole)
    .option('--head-width <n>', 'outputs of fc6 and fc7 (default: 4096)', whole)
    .option('--classes <n>', 'outputs of the last layer (default: 1000)', whole)
    .addOption(new Option('--mode <what>', 'what is timed (default: training)').choices(['training', 'inference']))
    .option('--device <name>', 'cpu, cuda, cuda:1', 'cpu')
    .addOption(
      new Option('--precision <name>', "of the computing (default: the device's)").choices(['float32', 'tf32', 'bf16']),
    )
    .option('--rounds <n>', 'times that each takes its turn', whole, 7)
    .option('--milliseconds <ms>', 'of one round, at least one run (default: 400 on a card, else 1000)', positive)
    .option('--stages', 'where the time of each stage goes, besides')
    .option('--ceilings <flops,bytes>', "the card's TFLOP/s and TB/s, instead of measuring them by PyTorch", ceilings)
    .option('--threads <n>', 'on a processor, of us and of the peers (default: one for each processor)', whole)
    .option(
      '--peers [folder]',
      'on a processor turns with PyTorch and onnxruntime-node, as `npm run bench:peers` put them',
    )
    .option(
      '--peer <python>',
      'a Python that has PyTorch, for turns with it (default: that of --peers; on a card python3)',
    )
    .option('--alone', 'no turns with others; on a card PyTorch still measures the ceilings')
    .option('--scaling', 'on a processor one thread in turns with two, or with --threads, instead of turns with others')
    .option('--limit <seconds>', 'after which no other case is begun', positive)
    .option(
      '--json [file]',
      'writes what was found; without a file a line for each case and peer, and all else to stderr',
    )
    .parse(words, { from: 'user' })
  const flags = command.opts<Flags>()
  if (flags.scaling && flags.device.startsWith('cuda')) command.error('error: --scaling is for processors')
  return flags
}

/** The case that the flags name, where they do. */
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

/** Whether a processor takes turns with others: where that is asked for, and in the cases that have goals. */
export function wantsPeers(flags: Flags): boolean {
  if (flags.alone || flags.scaling) return false
  return flags.peers !== undefined || flags.peer !== undefined || namedCase(flags) === undefined
}
