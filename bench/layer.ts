// `npm run bench:layers`: each shape of convolution in VGG, each direction. A stage is timed as the network runs it: a convolution
// with its bias and ReLU, and the pool after it if there is one.
import { Command, Option } from 'commander'
import { type Description, describe, Network, Tensor, VGG } from '../lib/index.js'
import { imagesOf } from '../lib/measure/ours.js'
import { whole } from './flags.js'
import { bestProfile } from './roofline.js'
import { machineOf, machineText } from './tables.js'

interface Flags {
  readonly variant: 'A' | 'B' | 'D' | 'E'
  readonly imageSize: number
  readonly batch: number
  readonly threads?: number
  readonly rounds: number
  readonly json?: true
}

type Stage = Description['stages'][number]

const directions = ['forward', 'input gradient', 'weight gradient'] as const

interface Pass {
  readonly stage: string
  /** Shape of the input, n c h w, and the number of output channels. */
  readonly shape: readonly number[]
  readonly direction: (typeof directions)[number]
  readonly algorithm: string
  readonly milliseconds: number
  readonly gigaflopsPerSecond: number
  /** Share of the measured peak. Above 1 if the algorithm needs fewer operations than a direct convolution. */
  readonly share: number
}

const flags = new Command('npm run bench:layers --')
  .description(
    "Measures each shape of convolution on the CPU in each direction: milliseconds, effective GFLOP/s (a direct convolution's operations over the time), algorithm, and the share of the measured peak, that of a large matrix product (sgemm).",
  )
  .addOption(
    new Option('--variant <name>', 'configuration; D contains all shapes of A')
      .choices(['A', 'B', 'D', 'E'])
      .default('D'),
  )
  .option('--image-size <pixels>', 'side of the images', whole, 224)
  .option('--batch <n>', 'images per step', whole, 8)
  .option('--threads <n>', 'CPU threads (default: one for each processor)', whole)
  .option('--rounds <n>', 'rounds, of which the best counts', whole, 5)
  .option('--json', 'print a line of JSON for each shape and direction')
  .parse()
  .opts<Flags>()
const { variant, imageSize, batch, rounds } = flags
const run = { device: 'cpu', seed: 1, ...(flags.threads && { threads: flags.threads }) } as const

/** GFLOP/s of multiply-adds in milliseconds. */
const rateOf = (multiplyAdds: number, milliseconds: number) => (2 * multiplyAdds) / milliseconds / 1e6

/** The measured peak: GFLOP/s of a linear layer that multiplies two matrices of 2048 x 2048. */
async function productPeak(): Promise<number> {
  const side = 2048
  const each = (value: number) => Array.from({ length: side }, () => value)
  const net = await Network.create({
    ...run,
    layers: [
      { kind: 'input', channels: side, mean: each(0), scale: each(1) },
      { kind: 'linear', name: 'product', outputs: side, window: [1, 1] },
    ],
  })
  try {
    const stages = await bestProfile(net, Tensor.randn([side, side, 1, 1], { seed: 1 }), 2 * rounds)
    const times = stages.filter(({ name }) => name === 'product').map(({ forwardMs }) => forwardMs)
    return rateOf(side ** 3, Math.min(...times))
  } finally {
    net.dispose()
  }
}

const shapeOf = ({ input, output }: Stage) => [...input, output[1] ?? 0]

/** The first stage of each shape of convolution. */
function differentStages(stages: readonly Stage[]): Stage[] {
  const first = new Map<string, Stage>()
  for (const stage of stages) {
    const shape = shapeOf(stage).join()
    if (stage.kind.startsWith('convolution') && !first.has(shape)) first.set(shape, stage)
  }
  return [...first.values()]
}

/** 'conv1_2' of 'conv1_2+pool1'. */
const layerOf = ({ name }: Stage) => name.split('+')[0] ?? name

const layersOf = (net: VGG) => [...new Set(net.parameters.map(({ name }) => name.slice(0, name.lastIndexOf('.'))))]

/** The profile of each stage while only these layers are trained: the other layers have no weight gradients. */
async function timesWhere(net: VGG, images: Tensor, learning: readonly string[]) {
  net.unfreeze()
  net.freeze(layersOf(net).filter((name) => !learning.includes(name)))
  return new Map((await bestProfile(net, images, rounds)).map((stage) => [stage.name, stage]))
}

async function* passesOf(net: VGG, images: Tensor, stages: readonly Stage[], peak: number): AsyncGenerator<Pass> {
  const [lowest] = layersOf(net)
  // only the lowest layer is trained: all layers above it compute their input gradient and nothing else
  const inputGradients = await timesWhere(net, images, [lowest ?? ''])
  for (const stage of stages) {
    const learning = await timesWhere(net, images, [layerOf(stage)])
    const times = [
      learning.get(stage.name)?.forwardMs,
      layerOf(stage) === lowest ? undefined : inputGradients.get(stage.name)?.backwardMs,
      learning.get(stage.name)?.backwardMs,
    ]
    const algorithms = stage.algorithm.split('/')
    for (const [index, direction] of directions.entries()) {
      const milliseconds = times[index]
      if (milliseconds === undefined) continue
      const gigaflopsPerSecond = rateOf(stage.multiplyAdds, milliseconds)
      yield {
        stage: stage.name,
        shape: shapeOf(stage),
        direction,
        algorithm: algorithms[index] ?? stage.algorithm,
        milliseconds,
        gigaflopsPerSecond,
        share: gigaflopsPerSecond / peak,
      }
    }
  }
}

function passText({ stage, shape, direction, algorithm, milliseconds, gigaflopsPerSecond, share }: Pass): string {
  const [, channels, height, width, outputs] = shape
  const sizes = `${channels} -> ${outputs}, ${height}x${width}`.padEnd(22)
  const figures = `${milliseconds.toFixed(2).padStart(9)}${gigaflopsPerSecond.toFixed(0).padStart(9)}`
  const percent = `${(100 * share).toFixed(0)} %`.padStart(8)
  return `${stage.padEnd(16)}${sizes}${direction.padEnd(17)}${figures}${percent}  ${algorithm}`
}

const peak = await productPeak()
const net = await VGG.create({ ...run, variant, imageSize, classes: 10, headWidth: 64, initialisation: 'he' })
try {
  const machine = { ...machineOf({}), threads: net.run.threads }
  const shape = [batch, net.channels, imageSize, imageSize]
  const stages = differentStages(describe({ layers: net.layers, shape, device: 'cpu', training: true }).stages)
  const images = imagesOf({ variant, imageSize, batch, mode: 'training', headWidth: 64, classes: 10 })
  if (!flags.json) {
    console.log(`${machineText(machine)}, batch ${batch}`)
    console.log(`measured peak: ${peak.toFixed(0)} GFLOP/s, a product of 2048 x 2048 with 2048 x 2048 (sgemm)`)
    console.log(`${''.padEnd(55)}${'ms'.padStart(9)}${'GFLOP/s'.padStart(9)}${'of peak'.padStart(8)}  algorithm`)
  }
  for await (const pass of passesOf(net, images, stages, peak)) {
    console.log(flags.json ? JSON.stringify({ ...pass, peakGigaflopsPerSecond: peak, machine }) : passText(pass))
  }
} finally {
  net.dispose()
}
