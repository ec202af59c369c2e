// `npx tsx bench/style.ts`: the loss of neural style and its gradient (examples/style-loss.ts), which is an evaluation of L-BFGS,
// interleaved with PyTorch's autograd. The weights are random: they do not change the time.
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { Tensor, VGG } from 'vggnet'
import { styleLoss } from '../examples/style-loss.js'
import { type Contender, interleaved, mean, medianRatio } from '../lib/measure/interleaved.js'
import { baselineFiles, defaultBaselinesFolder } from '../scripts/setup/peers.mjs'
import { torchBaseline } from './baselines.js'
import { whole } from './flags.js'

const { imageSize, rounds } = new Command('npx tsx bench/style.ts')
  .option('--image-size <pixels>', 'side of the images', whole, 256)
  .option('--rounds <n>', 'interleaved rounds', whole, 7)
  .parse()
  .opts<{ imageSize: number; rounds: number }>()

const benchCase = { variant: 'D', imageSize, batch: 1, headWidth: 1, classes: 1, mode: 'style' } as const

using net = await VGG.create({ variant: 'D', head: 'none', initialisation: 'he', seed: 1, device: 'cpu' })
const imageOf = (value: number): Tensor => {
  const pixels = Uint8Array.from({ length: imageSize ** 2 * 3 }, (_, index) => (index * value) % 251)
  return Tensor.from(pixels, [1, imageSize, imageSize, 3])
}
const lossOf = await styleLoss(net, imageOf(7), imageOf(13), 300)
const pixels = Float32Array.from({ length: imageSize ** 2 * 3 }, (_, index) => (index * 11) % 241)

const ours: Contender = {
  async round(milliseconds) {
    const start = performance.now()
    let count = 0
    do {
      await lossOf(pixels)
      count++
    } while (performance.now() - start < milliseconds)
    return (performance.now() - start) / count
  },
}

const python = baselineFiles(defaultBaselinesFolder()).python
const torch = await torchBaseline(python, availableParallelism(), benchCase, 'PyTorch float32').prepare(600)
try {
  await ours.round(0)
  const { times, backgroundLoads } = await interleaved([ours, torch], { rounds, milliseconds: 1000 })
  const [own, theirs] = times
  console.log(
    `vggnet ${own.medianMs.toFixed(0)} ms, PyTorch float32 (${torch.layout}) ${theirs.medianMs.toFixed(0)} ms an evaluation`,
  )
  const others = (100 * mean(backgroundLoads)).toFixed(0)
  console.log(
    `${medianRatio(own, theirs).toFixed(2)} times as fast, ${rounds} rounds; other programs took ${others} % of the machine`,
  )
} finally {
  torch.close()
}
