// Fine-tuning: a model of the digits 0 to 4 gets a new last layer for 5 to 9, its first three blocks are frozen, and it is
// trained on 100 images. The same network is trained from random weights on the same images for comparison.
// Run: npx tsx examples/fine-tune.ts [--images 100] [--model FILE]   (Node 22.18 and later: node examples/fine-tune.ts)
import { evaluate, replaceHead, train, VGG } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { digitModel, digits } from './digit-model.ts'

const usage = `fine-tune.ts [--images N] [--epochs N] [--model FILE]
  --images N    training images of the new classes (default 100)
  --epochs N    passes through them (default 12)
  --model FILE  a grey 32x32 VGG net to start from (default: trains one on 0 to 4)`

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

await command(usage, { images: '100', epochs: '12', model: '' }, async (flags) => {
  const images = wholeNumber(flags.images, 'images', [5, 4000])
  const epochs = wholeNumber(flags.epochs, 'epochs', [1, 1000])
  const before = await digitModel(flags.model)
  const { training, test } = await digits([5, 6, 7, 8, 9], images)
  const options = { epochs, batch: 20, schedule: 'cosine', seed: 1 } as const

  // copies the weights of all layers but fc8; the original network is not changed
  const tuned = await replaceHead(before, { classes: 5, classNames: training.classNames })
  const { frozen } = await train(tuned, training, {
    ...options,
    learningRate: 0.01,
    freeze: ['conv1', 'conv2', 'conv3'], // no gradient, weight decay or momentum
    rateFactors: { fc8: 5 }, // the new layer learns faster than the others
  })
  const { top1, perClass } = await evaluate(tuned, test)
  console.log(`fine-tuned on ${training.count} images: ${percent(top1)} of ${test.count} test images correct`)
  for (const { name, correct, count } of perClass) console.log(`  ${name}: ${correct} of ${count}`)
  console.log(
    `${frozen?.layers.length} layers frozen; their weights are ${frozen?.before === frozen?.after ? 'unchanged' : 'changed'}`,
  )

  const scratch = await VGG.create({
    ...tuned.configuration,
    initialisation: 'he',
    classNames: training.classNames,
    seed: 1,
  })
  await train(scratch, training, { ...options, learningRate: 0.02 })
  console.log(`from random weights: ${percent((await evaluate(scratch, test)).top1)}`)
  for (const net of [before, tuned, scratch]) net.dispose()
})
