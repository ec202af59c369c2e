// Trains a small VGG net with `train()` on horizontal, vertical and diagonal stripes.
// Run: npx tsx examples/fit.ts   (Node 22.18 and later: node examples/fit.ts)
import { arrayDataset, evaluate, progressOn, Random, stratifiedSplit, train, VGG } from 'vggnet'

const side = 32
const classNames = ['horizontal', 'vertical', 'diagonal']

/** Generates grey images of stripes with noise, uint8 [count, side, side, 1]. */
function stripes(count: number, random: Random) {
  const labels = Int32Array.from({ length: count }, () => random.integer(classNames.length))
  const images = new Uint8Array(count * side * side)
  labels.forEach((label, image) => {
    const phase = random.uniform(0, 6)
    for (let pixel = 0; pixel < side * side; pixel++) {
      const [row, column] = [Math.floor(pixel / side), pixel % side]
      const along = [row, column, row + column][label] ?? 0
      images[image * side * side + pixel] = 128 + 80 * Math.sin(along + phase) + random.uniform(-40, 40)
    }
  })
  return arrayDataset({ images, shape: [count, side, side, 1], labels, classNames })
}

const { training, validation } = stratifiedSplit(stripes(400, new Random(1)), 100, 1)

const net = await VGG.create({
  variant: 'A',
  classes: classNames.length,
  channels: 1,
  imageSize: side,
  width: 0.125,
  headWidth: 64,
  initialisation: 'he',
  device: 'cpu',
  seed: 1,
  classNames,
})
try {
  const { history } = await train(net, training, {
    validation,
    epochs: 6,
    batch: 25,
    learningRate: 0.005,
    schedule: 'cosine',
    seed: 1,
    ...progressOn(process.stderr).callbacks,
  })
  const { top1, perClass } = await evaluate(net, validation)
  console.log(`${history.length} epochs, validation accuracy ${(100 * top1).toFixed(1)} %`)
  for (const { name, correct, count } of perClass) console.log(`  ${name.padEnd(10)} ${correct} of ${count}`)
} finally {
  net.dispose()
}
