import { cpus } from 'node:os'
import type { Command } from 'commander'
import pc from 'picocolors'
import { type BenchmarkReport, benchmark, type Measured } from '../../measure/benchmark.js'
import { Network } from '../../network/network.js'
import type { Device } from '../../network/open.js'
import { native } from '../../platform/native.js'
import { packageVersion } from '../../platform/package.js'
import { columnsOf, countedText, wrapped } from '../../table.js'
import { type DeviceFlags, given, number } from '../flags/flags.js'
import { stoppable } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { waitingOn } from '../terminal/progress.js'
import { section } from '../terminal/sections.js'

const examples = `
Measures inference and training of one network, on each device of this machine
or on --device: the median of five rounds each. The defaults take less than a
minute on two cores and about 3 GB of memory. The last line is a summary to
paste. A background load above 15 % is reported: results under such a load are
not reliable.

Examples:
  $ vggnet bench
  $ vggnet bench --device cpu --variant A --image-size 32 --batch 256 --threads 2
  $ vggnet bench --seconds 20 --json`

interface Flags extends Pick<DeviceFlags, 'device' | 'precision'> {
  variant?: string
  imageSize?: number
  batch?: number
  width?: number
  headWidth?: number
  threads?: number
  seconds?: number
  json?: true
}

/** Adds `vggnet bench`: measures images per second of training and inference. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .description('measure images per second of inference and training')
    .option('--device <name>', 'cpu, cuda, cuda:N (default: each device of this machine)')
    .option('--variant <name>', 'A, A-LRN, B, C, D, E, or VGG11, VGG16, ... (default: D)')
    .option('--image-size <pixels>', 'side of the images, from 32 up (default: 224)', number)
    .option('--batch <n>', 'images per step (default: 8, on a card 64)', number)
    .option('--width <factor>', "multiplier of the convolutions' channels (default: 1)", number)
    .option('--head-width <n>', 'outputs of fc6 and fc7 (default: 4096)', number)
    .option('--threads <n>', 'threads on the cpu (default: all)', number)
    .option('--precision <name>', 'float32, tf32, bf16 (default: bf16 on a card from sm_80 on, else float32)')
    .option('--seconds <s>', 'duration of each measurement (default: 8)', number)
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(async (flags: Flags) => {
      const { json, ...asked } = flags
      const found = await benched(asked)
      if (json) printJson(found, 2)
      else print(text(found))
    })
}

/** Output of `--json`. */
interface Benched {
  vggnet: string
  node: string
  processor: string
  isa: string
  devices: (BenchmarkReport & { name: string })[]
  /** One-line summary. */
  line: string
}

/** The cpu, and the card that 'auto' chooses, where there is one. */
async function devicesThere(): Promise<Device[]> {
  const layers = [
    { kind: 'input', channels: 1, mean: [0], scale: [1] },
    { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
  ] as const
  const net = await Network.create({ layers, device: 'auto' })
  net.dispose()
  return net.device === 'cpu' ? ['cpu'] : ['cpu', net.device as Device]
}

const cardName = (device: string): string =>
  native()
    .cudaReport()
    .cards.find((card) => card.device === device)?.name ?? ''

async function benched({ device, ...options }: Omit<Flags, 'json'>): Promise<Benched> {
  const processor = cpus()[0]?.model.trim() ?? ''
  const { isa } = native().buildInfo()
  const waiting = waitingOn(process.stderr)
  const measuring = async (signal: AbortSignal): Promise<Benched['devices']> => {
    const reports: Benched['devices'] = []
    for (const one of device === undefined ? await devicesThere() : [device as Device]) {
      const report = await benchmark(one, {
        ...given(options),
        signal,
        onProgress: (mode, done, of) => waiting.update(`${mode} on ${one}:`, done, of),
      })
      reports.push({ ...report, name: report.device === 'cpu' ? processor : cardName(report.device) })
    }
    return reports
  }
  const onStop = (): void => {
    waiting.end()
    print('Stopping after the current round; press Ctrl-C again to stop at once ...', process.stderr)
  }
  try {
    const devices = await stoppable(measuring, 'no measurement was finished', onStop)
    const head = { vggnet: packageVersion(), node: process.versions.node, processor, isa, devices }
    return { ...head, line: lineOf(head) }
  } finally {
    waiting.end()
  }
}

/** Background load above which results are not reliable. */
const mostBackgroundLoad = 0.15

const rate = (value: number): string => value.toFixed(value < 100 ? 2 : value < 1000 ? 1 : 0)
const loadText = (share: number): string => `background load ${(100 * share).toFixed(0)} %`

function deviceText({ device, name, threads, precision, batch }: Benched['devices'][number], isa: string): string {
  const how = device === 'cpu' ? [isa, countedText(threads, 'thread')] : []
  return `${[device, name].filter(Boolean).join(' ')} (${[...how, precision, `batch ${batch}`].join(', ')})`
}

/** One-line summary: version, network, devices, images per second. */
function lineOf({ vggnet, node, isa, devices }: Omit<Benched, 'line'>): string {
  const [{ variant, imageSize } = { variant: '', imageSize: 0 }] = devices
  const parts = devices.map((found) => {
    const { training, inference, backgroundLoad } = found
    const rates = `training ${rate(training.imagesPerSecond)}, inference ${rate(inference.imagesPerSecond)} images/s`
    const load = backgroundLoad > mostBackgroundLoad ? `, ${loadText(backgroundLoad)}` : ''
    return `${deviceText(found, isa)}: ${rates}${load}`
  })
  return `vggnet ${vggnet}, Node ${node}, ${variant} ${imageSize}x${imageSize}: ${parts.join('; ')}`
}

function modeText(mode: string, { imagesPerSecond, medianMs, minimumMs, readySeconds }: Measured): string {
  const times = `${medianMs.toFixed(1)} ms per batch (minimum ${minimumMs.toFixed(1)})`
  const words = `${rate(imagesPerSecond)} images/s, ${times}, ready in ${readySeconds.toFixed(1)} s`
  return section(mode, [words], columnsOf(process.stdout))
}

function text({ isa, devices, line }: Benched): string {
  const lines = devices.flatMap((found) => {
    const load = loadText(found.backgroundLoad)
    const doubtful = pc.yellow(`${load}: other programs were busy, so these results are not reliable`)
    return [
      ...wrapped(pc.bold(deviceText(found, isa)), columnsOf(process.stdout)),
      modeText('inference', found.inference),
      modeText('training', found.training),
      section('', [found.backgroundLoad > mostBackgroundLoad ? doubtful : load], columnsOf(process.stdout)),
    ]
  })
  return [...lines, '', line].join('\n')
}
