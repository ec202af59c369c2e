// Evaluation (Sect. 3.2): by one centre crop, and densely, where the network slides over the whole image and its mirror
// image at several sizes and the class probabilities are averaged. Accuracies of the two methods are not comparable.
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
  --model FILE     a model, such as runs/images/model.safetensors (default: trains one on generated fabrics)
  --photos FOLDER  a subfolder for each class, with images that the model was not trained on`

/** Trains a 48x48 network on striped, dotted and chequered fabrics. */
async function fabricModel(list: PhotoList): Promise<VGG> {
  const { classNames } = list
  const small = { variant: 'A', width: 0.25, headWidth: 64, imageSize: 48 } as const
  const net = await VGG.create({ ...small, classes: classNames.length, classNames, initialisation: 'he', dropout: 0.2 })
  console.log(`training on ${list.sources.length} images ...`)
  const data = photoDataset(list, { crop: 48, smallestSide: [55, 110] })
  await train(net, data, { epochs: 15, batch: 16, learningRate: 0.01, schedule: 'cosine' })
  return net
}

/** Reads a whole image, resized to the smallest side Q in pixels, without distortion or cropping. */
async function wholeImage(
  file: string,
  smallest: number,
): Promise<{ pixels: Uint8Array; height: number; width: number }> {
  const { height, width } = await readImageSize(file)
  const scale = smallest / Math.min(height, width)
  const size = { height: Math.round(height * scale), width: Math.round(width * scale) }
  return { ...size, pixels: await readImage(file, { ...size, channels: 3 }) }
}

/** Softmax of a class map's mean over height and width: one probability for each class. */
async function posterior(map: Tensor<'float32'>): Promise<Float32Array> {
  const [, classes = 0] = map.shape
  const scores = await map.data()
  const positions = scores.length / classes
  const mean = Float32Array.from({ length: classes }, (_, index) =>
    scores.subarray(index * positions, (index + 1) * positions).reduce((sum, score) => sum + score / positions, 0),
  )
  return (await Tensor.from(mean).softmax()).data()
}

/** The class with the highest mean probability over all sizes and both orientations. */
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
      model === '' ? await fabricModel((await readFolder(path.join(folder, 'learned'))).training) : await load(model)
    const { training: list } = await readFolder(photos === '' ? path.join(folder, 'other') : photos)
    // the paper's Q for crops of 224, in proportion to this network's size
    const proportionate = (q: number): number => Math.round((q * Math.max(...net.imageSize)) / 224)
    const box = { crop: net.imageSize, smallestSide: proportionate(384) }
    const centre = await evaluate(net, photoDataset(list, box))
    console.log(`${centre.count} images, centre crop: accuracy ${percent(centre.top1)}`)
    for (const paper of [[384], [256, 384, 512]]) {
      const sides = paper.map(proportionate)
      let right = 0
      for (const [index, file] of list.names.entries()) {
        if ((await denseAnswer(net, file, sides)) === list.labels[index]) right += 1
      }
      console.log(`dense, with mirror images, Q of ${sides.join(', ')}: accuracy ${percent(right / list.names.length)}`)
    }
    net.dispose()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
