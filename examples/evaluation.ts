// Ways of testing (Sect. 3.2): one crop of the middle, and dense evaluation, where the net slides over the whole image and
// its mirror image at several sizes and the answers are averaged. Never compare figures of one with figures of the other.
// Run: npx tsx examples/evaluation.ts [--model FILE --photos FOLDER]   (Node 22.18 and later: node examples/evaluation.ts)
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  evaluate,
  load,
  type PhotoList,
  photoDataset,
  readFolder,
  readImage,
  readImageSize,
  Tensor,
  train,
  VGG,
} from 'vggnet'
import { command } from './command.ts'
import { writeFabrics } from './fabrics.ts'

const usage = `evaluation.ts [--model FILE --photos FOLDER]
  --model FILE     a model, such as runs/images/model.safetensors (default: one that learns drawn cloth first)
  --photos FOLDER  a sub-folder for each class, none of which it has learned from`

/** A net of 48x48 that knows striped, dotted and chequered cloth. */
async function clothModel(list: PhotoList): Promise<VGG> {
  const { classNames } = list
  const small = { variant: 'A', width: 0.25, headWidth: 64, imageSize: 48 } as const
  const net = await VGG.create({ ...small, classes: classNames.length, classNames, initialisation: 'he', dropout: 0.2 })
  console.log(`learning from ${list.sources.length} images ...`)
  const data = photoDataset(list, { crop: 48, smallestSide: [55, 110] })
  await train(net, data, { epochs: 15, batch: 16, learningRate: 0.01, schedule: 'cosine' })
  return net
}

/** The whole image, its smallest side Q pixels long; never squashed, nothing cut off. */
async function wholeImage(
  file: string,
  smallest: number,
): Promise<{ pixels: Uint8Array; height: number; width: number }> {
  const { height, width } = await readImageSize(file)
  const scale = smallest / Math.min(height, width)
  const size = { height: Math.round(height * scale), width: Math.round(width * scale) }
  return { ...size, pixels: await readImage(file, { ...size, channels: 3 }) }
}

/** The soft-max of a class map's mean over its positions; one score for each class. */
async function posterior(map: Tensor<'float32'>): Promise<Float32Array> {
  const [, classes = 0] = map.shape
  const scores = await map.data()
  const positions = scores.length / classes
  const mean = Float32Array.from({ length: classes }, (_, index) =>
    scores.subarray(index * positions, (index + 1) * positions).reduce((sum, score) => sum + score / positions, 0),
  )
  return (await Tensor.from(mean).softmax()).data()
}

/** The class that is likeliest over all sizes and mirror images. */
async function denseAnswer(net: VGG, file: string, sides: readonly number[]): Promise<number> {
  const sum = new Float32Array(net.classes)
  for (const smallest of sides) {
    const { pixels, height, width } = await wholeImage(file, smallest)
    for (const flip of [0, 1]) {
      const map = await net.forward(Tensor.from(pixels, [1, height, width, 3]), {
        augment: { flip: Uint8Array.of(flip) },
      })
      for (const [index, share] of (await posterior(map)).entries()) sum[index] = (sum[index] ?? 0) + share
    }
  }
  return sum.indexOf(Math.max(...sum))
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

await command(usage, { model: '', photos: '' }, async ({ model, photos }) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'fabrics-'))
  try {
    if (model === '') await writeFabrics(path.join(folder, 'learned'), 80, 1)
    if (photos === '') await writeFabrics(path.join(folder, 'other'), 30, 2)
    const net =
      model === '' ? await clothModel((await readFolder(path.join(folder, 'learned'))).training) : await load(model)
    const { training: list } = await readFolder(photos === '' ? path.join(folder, 'other') : photos)
    // the paper's Q for its crop of 224, for this net's crop
    const proportionate = (q: number): number => Math.round((q * Math.max(...net.imageSize)) / 224)
    const box = { crop: net.imageSize, smallestSide: proportionate(384) }
    const middle = await evaluate(net, photoDataset(list, box))
    console.log(`${middle.count} images, the middle crop of each: ${percent(middle.top1)} right`)
    for (const paper of [[384], [256, 384, 512]]) {
      const sides = paper.map(proportionate)
      let right = 0
      for (const [index, file] of list.names.entries()) {
        if ((await denseAnswer(net, file, sides)) === list.labels[index]) right += 1
      }
      console.log(`dense, with mirror images, Q of ${sides.join(', ')}: ${percent(right / list.names.length)} right`)
    }
    net.dispose()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
