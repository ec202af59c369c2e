// `npx tsx bench/image-gradient.ts`: forward pass and gradient of the images from gradients at the last ReLU of each block of D,
// interleaved with PyTorch's autograd; and the peak memory of both processes.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { Tensor, VGG } from '../lib/index.js'
import { peakMegabytes } from '../lib/measure/background-load.js'
import { type Contender, interleaved, mean, medianRatio } from '../lib/measure/interleaved.js'
import { imagesOf } from '../lib/measure/ours.js'
import { baselineFiles, defaultBaselinesFolder } from '../scripts/setup/peers.mjs'
import { torchBaseline } from './baselines.js'
import { whole } from './flags.js'

const { imageSize, batch, rounds } = new Command('npx tsx bench/image-gradient.ts')
  .option('--image-size <pixels>', 'side of the images', whole, 256)
  .option('--batch <n>', 'images per call', whole, 1)
  .option('--rounds <n>', 'interleaved rounds', whole, 7)
  .parse()
  .opts<{ imageSize: number; batch: number; rounds: number }>()

const benchCase = { variant: 'D', imageSize, batch, headWidth: 1, classes: 1, mode: 'image-gradient' } as const

using net = await VGG.create({ variant: 'D', head: 'none', initialisation: 'he', seed: 1, device: 'cpu' })
const images = imagesOf({ ...benchCase, mode: 'inference' })
const ones = (channels: number, side: number): Tensor<'float32'> =>
  Tensor.from(new Float32Array(batch * channels * side * side).fill(1), [batch, channels, side, side])
const cotangents = {
  relu1_2: ones(64, imageSize),
  relu2_2: ones(128, imageSize >> 1),
  relu3_3: ones(256, imageSize >> 2),
  relu4_3: ones(512, imageSize >> 3),
  relu5_3: ones(512, imageSize >> 4),
}

const ours: Contender = {
  async round(milliseconds) {
    const start = performance.now()
    let count = 0
    do {
      await net.vjp(images, cotangents, { wrt: ['image'] })
      count++
    } while (performance.now() - start < milliseconds)
    return (performance.now() - start) / count
  },
}

/** The peak memory of a process of its own that makes the same calls, without a compiler of TypeScript. */
function peakOfOurs(): number {
  const program = `
    import { Tensor, VGG } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
    const net = await VGG.create({ variant: 'D', head: 'none', initialisation: 'he', seed: 1, device: 'cpu' })
    const images = Tensor.from(new Uint8Array(${batch * imageSize ** 2 * 3}), [${batch}, ${imageSize}, ${imageSize}, 3])
    const shapes = ${JSON.stringify(Object.entries(cotangents).map(([name, { shape }]) => [name, shape]))}
    const ones = (shape) => Tensor.from(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape)
    const cotangents = Object.fromEntries(shapes.map(([name, shape]) => [name, ones(shape)]))
    for (let call = 0; call < 5; call++) await net.vjp(images, cotangents, { wrt: ['image'] })
    console.log(process.resourceUsage().maxRSS)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  return (1024 * Number(stdout)) / 1e6
}

const python = baselineFiles(defaultBaselinesFolder()).python
const torch = await torchBaseline(python, availableParallelism(), benchCase, 'PyTorch float32').prepare(600)
try {
  await ours.round(0)
  const { times, backgroundLoads } = await interleaved([ours, torch], { rounds, milliseconds: 1000 })
  const [own, theirs] = times
  const peaks = [peakOfOurs(), peakMegabytes(torch.pid)].map((megabytes) => megabytes.toFixed(0))
  console.log(
    `vggnet ${own.medianMs.toFixed(0)} ms, PyTorch float32 (${torch.layout}) ${theirs.medianMs.toFixed(0)} ms`,
  )
  const others = (100 * mean(backgroundLoads)).toFixed(0)
  console.log(
    `${medianRatio(own, theirs).toFixed(2)} times as fast, ${rounds} rounds; peak memory ${peaks.join(', ')} MB; other programs took ${others} % of the machine`,
  )
} finally {
  torch.close()
}
