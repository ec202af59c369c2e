// The paper's procedure (Sect. 3.1) on a folder of images, CLASS/*.jpg: random S for each image, random crop, flip and
// colour shift, the learning rate divided by 10 on a plateau, checkpoints. After Ctrl-C, a new start resumes the training.
// Run: npx tsx examples/images.ts [--photos FOLDER] [--out FOLDER]   (Node 22.18 and later: node examples/images.ts)
import { existsSync } from 'node:fs'
import path from 'node:path'
import {
  deviceLine,
  loadNewestTraining,
  photoDataset,
  progressOn,
  readFolder,
  reportLine,
  save,
  statisticsOf,
  train,
  VGG,
} from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { writeFabrics } from './fabrics.ts'

const usage = `images.ts [--photos FOLDER] [--out FOLDER] [--epochs N] [--crop PIXELS]
  --photos FOLDER  a subfolder for each class (default: OUT/photos, generated fabrics: striped, dotted, chequered)
  --out FOLDER     folder for checkpoints and the model (default runs/images)
  --epochs N       passes through the images (default 15)
  --crop PIXELS    side of the crops, 32 to 224 (default 48)`

const defaults = { photos: '', out: path.join('runs', 'images'), epochs: '15', crop: '48' }

await command(usage, defaults, async ({ photos, out, ...numbers }) => {
  const epochs = wholeNumber(numbers.epochs, 'epochs', [1, 10_000])
  const crop = wholeNumber(numbers.crop, 'crop', [32, 224])
  const folder = photos === '' ? path.join(out, 'photos') : photos
  if (photos === '' && !existsSync(folder)) await writeFabrics(folder, 120, 1)
  const { training, validation } = await readFolder(folder, { validation: 0.2, seed: 1 })

  // the paper's S of 256 to 512 for crops of 224, in proportion
  const box = { crop, smallestSide: [Math.round((crop * 256) / 224), Math.round((crop * 512) / 224)] } as const
  const checkpoints = path.join(out, 'checkpoints')
  const begun = await loadNewestTraining(checkpoints)
  if (begun) console.log(`resuming from step ${begun.step}`)
  const fitted = begun ? undefined : await statisticsOf(photoDataset(training, box))
  const net =
    begun?.net ??
    (await VGG.create({
      variant: 'A',
      classes: training.classNames.length,
      classNames: training.classNames,
      imageSize: crop,
      width: 0.25,
      headWidth: 64,
      initialisation: 'he',
      dropout: 0.2,
      meanRgb: fitted?.mean,
      preprocessing: { smallestSide: box.smallestSide, colour: fitted?.colour },
    }))
  console.log(`VGG ${net.variant}, ${training.sources.length} images, ${deviceLine(net)}`)

  const stopping = new AbortController()
  process.once('SIGINT', () => stopping.abort())
  const report = await train(net, photoDataset(training, net), {
    validation: validation && photoDataset(validation, net),
    epochs,
    batch: 16,
    learningRate: 0.01,
    checkpoint: { folder: checkpoints, everyMinutes: 5 },
    resume: begun?.state,
    signal: stopping.signal,
    ...progressOn(process.stderr).callbacks,
  })
  const model = path.join(out, 'model.safetensors')
  await save(net, model)
  console.log(`${reportLine(report)}; the model is ${model}`)
  net.dispose()
})
