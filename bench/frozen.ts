// `npx tsx bench/frozen.ts`: training images per second with frozen leading blocks, from images and from their features on disk.
// The steps of both are interleaved, each with the reading of its batches by a loader, as in `train`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { arrayDataset, type Batch, type Dataset, Loader, VGG } from '../lib/index.js'
import { type Contender, interleaved, mean, medianRatio } from '../lib/measure/interleaved.js'
import { frozenFeatures } from '../lib/train/frozen-features.js'
import { settingsFrom } from '../lib/train/settings.js'
import { variantLetter } from '../lib/vgg/variants.js'
import { whole } from './flags.js'

const flags = new Command('npx tsx bench/frozen.ts')
  .option('--variant <name>', 'A, A-LRN, B, C, D, E', 'D')
  .option('--image-size <pixels>', 'side of the images', whole, 224)
  .option('--batch <n>', 'images per step', whole, 32)
  .option('--images <n>', 'images of an epoch', whole, 128)
  .option('--rounds <n>', 'interleaved rounds', whole, 5)
  .option('--milliseconds <ms>', 'time of one round, at least two steps', whole, 1000)
  .option('--freeze <blocks>', 'frozen layers or blocks', 'conv1,conv2,conv3,conv4')
  .parse()
  .opts<{
    variant: string
    imageSize: number
    batch: number
    images: number
    rounds: number
    milliseconds: number
    freeze: string
  }>()

function blankData({ images: count, imageSize }: { images: number; imageSize: number }): Dataset {
  const images = new Uint8Array(count * imageSize * imageSize * 3)
  for (let index = 0; index < images.length; index++) images[index] = (index * 7919) % 251
  const labels = Int32Array.from({ length: count }, (_, index) => index % 10)
  const classNames = Array.from({ length: 10 }, (_, index) => `class ${index}`)
  return arrayDataset({ images, shape: [count, imageSize, imageSize, 3], labels, classNames })
}

/** Steps on the batches of a loader, two in flight as in `train`. */
function stepping(loader: Loader, step: (batch: Batch) => Promise<unknown>): Contender {
  async function steps(count: number): Promise<number> {
    const start = performance.now()
    let before: Promise<unknown> = Promise.resolve()
    for (let index = 0; index < count; index++) {
      const next = step(await loader.next())
      await before
      before = next
    }
    await before
    return (performance.now() - start) / count
  }
  return { round: async (milliseconds) => steps(Math.max(1, Math.round(milliseconds / (await steps(1))))) }
}

const { imageSize, batch, rounds } = flags
const folder = await mkdtemp(path.join(tmpdir(), 'vggnet-frozen-'))
const net = await VGG.create({
  variant: variantLetter(flags.variant),
  imageSize,
  classes: 10,
  initialisation: 'he',
  seed: 1,
})
try {
  const data = blankData(flags)
  const update = { learningRate: 1e-4, momentum: 0.9, weightDecay: 5e-4 }
  const onNotice = (text: string): void => console.log(text)
  const options = { batch, epochs: 100, freeze: flags.freeze.split(',') as never, checkpoint: { folder }, onNotice }
  const settings = settingsFrom(net, data, options)
  net.freeze(settings.recorded.freeze as never)
  const features = await frozenFeatures(net, data, settings, 100)
  if (features === undefined) throw new Error('these layers are not computed once')
  const { tensor: from, training } = features
  const images = new Loader(data, { batch })
  const values = new Loader(training.dataset, { batch })
  const { times, backgroundLoads } = await interleaved(
    [
      stepping(values, (one) => net.step(training.valuesOf(one.images), one.labels, { ...update, from })),
      stepping(images, (one) => net.step(one.images, one.labels, update)),
    ],
    { rounds, milliseconds: flags.milliseconds },
  )
  const [fast, slow] = times
  for (const [name, { medianMs }] of [
    ['from features', fast],
    ['from images', slow],
  ] as const)
    console.log(`${name}: ${((1000 * batch) / medianMs).toFixed(2)} images/s`)
  const others = (100 * mean(backgroundLoads)).toFixed(0)
  console.log(
    `${medianRatio(fast, slow).toFixed(2)} times as fast, ${rounds} rounds; other programs took ${others} % of the machine`,
  )
} finally {
  net.dispose()
  await rm(folder, { recursive: true, force: true })
}
