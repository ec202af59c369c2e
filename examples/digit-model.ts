// The model that several examples start from: it recognises handwritten digits, and is trained in a few seconds.
import { type Dataset, load, meanOf, stratifiedSplit, subset, train, VGG } from 'vggnet'
import { readDigits } from './demo/digits.ts'

let read: Promise<Dataset> | undefined

/** Digits of the given classes, labelled from 0 in that order: `count` training images and 500 test images. */
export async function digits(classes: readonly number[], count: number): Promise<{ training: Dataset; test: Dataset }> {
  read ??= readDigits()
  const all = await read
  const chosen = Int32Array.from(all.labels.keys()).filter((index) => classes.includes(all.labels[index] ?? -1))
  const some = subset(all, chosen)
  const labels = some.labels.map((label) => classes.indexOf(label))
  const data = { ...some, labels, classNames: classes.map(String) }
  const { training: rest, validation: test } = stratifiedSplit(data, 500, 1)
  return { training: count < rest.count ? stratifiedSplit(rest, count, 2).validation : rest, test }
}

/** Loads a model, such as demo-output/digits.safetensors; without a file, trains a narrow A on the digits 0 to 4. */
export async function digitModel(file: string): Promise<VGG> {
  if (file !== '') return load(file)
  const { training } = await digits([0, 1, 2, 3, 4], 1500)
  const net = await VGG.create({
    variant: 'A',
    classes: training.classNames.length,
    classNames: training.classNames,
    channels: 1,
    imageSize: 32,
    width: 0.25,
    headWidth: 128,
    initialisation: 'he',
    dropout: 0.2,
    scale: 1 / 128,
    meanRgb: await meanOf(training),
    seed: 1,
  })
  console.log(`training on ${training.count} digits, 0 to 4 ...`)
  await train(net, training, { epochs: 4, batch: 32, learningRate: 0.02, schedule: 'cosine', shift: 2, seed: 1 })
  return net
}
