// The command line of `npm run bench`. Those of the first group bench/peer_torch.py takes too.
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Device, Precision } from 'vggnet'
import type { Ceilings, Mode } from './roofline.js'

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
  readonly peer?: string
  readonly alone?: true
  readonly limit?: number
  readonly json?: string
}

function positive(value: string): number {
  const read = Number(value)
  if (!(read > 0)) throw new InvalidArgumentError('Expected a number above 0.')
  return read
}

function ceilings(value: string): Ceilings {
  const [product, copy, ...more] = value.split(',').map(positive)
  if (!product || !copy || more.length > 0) throw new InvalidArgumentError('Expected TFLOP/s,TB/s: 788,4.3')
  return { flopsPerSecond: product * 1e12, bytesPerSecond: copy * 1e12 }
}

export function readFlags(words: readonly string[]): Flags {
  return new Command('npm run bench --')
    .description(
      'Images per second of a whole network. On a card without variant, size, batch and mode: VGG-16 and VGG-11, training and inference, ten cases.',
    )
    .option('--variant <name>', 'A, A-LRN, B, C, D, E (default: D)')
    .option('--image-size <pixels>', 'side of the images (default: 224)', positive)
    .option('--batch <n>', 'images a step (default: 8)', positive)
    .option('--head-width <n>', 'outputs of fc6 and fc7 (default: 4096)', positive)
    .option('--classes <n>', 'outputs of the last layer (default: 1000)', positive)
    .addOption(new Option('--mode <what>', 'what is timed (default: training)').choices(['training', 'inference']))
    .option('--device <name>', 'cpu, cuda, cuda:1', 'cpu')
    .addOption(
      new Option('--precision <name>', "of the computing (default: the device's)").choices(['float32', 'tf32', 'bf16']),
    )
    .option('--rounds <n>', 'times that each takes its turn', positive, 6)
    .option('--milliseconds <ms>', 'of one round, at least one run (default: 400 on a card, else 0)', positive)
    .option('--stages', 'where the time of each stage goes, besides')
    .option('--ceilings <flops,bytes>', "the card's TFLOP/s and TB/s, instead of measuring them by PyTorch", ceilings)
    .option(
      '--peer <python>',
      'a Python that has PyTorch, for turns with it (default: python3 on a card, none on a CPU)',
    )
    .option('--alone', 'no turns with PyTorch; it still measures the ceilings')
    .option('--limit <seconds>', 'after which no other case is begun', positive)
    .option('--json <file>', 'writes what was found')
    .parse(words, { from: 'user' })
    .opts<Flags>()
}
