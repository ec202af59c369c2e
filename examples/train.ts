// A custom training loop with `net.step`: bright and dark images.
// Run: npx tsx examples/train.ts   (Node 22.18 and later: node examples/train.ts)
import { Random, Tensor, VGG } from 'vggnet'

const net = await VGG.create({
  variant: 'VGG11',
  classes: 2,
  imageSize: 32,
  width: 0.125,
  headWidth: 64,
  initialisation: 'he',
  device: 'cpu',
  seed: 1,
})
const random = new Random(1)

/** Generates colour images of noise, uint8 [count, 32, 32, 3]; those of class 1 are brighter. */
function batch(count: number) {
  const labels = Array.from({ length: count }, () => random.integer(2))
  const pixels = Uint8Array.from({ length: count * 32 * 32 * 3 }, (_, index) => {
    const label = labels[Math.floor(index / (32 * 32 * 3))] ?? 0
    return random.uniform(0, 160) + 60 * label
  })
  return { images: Tensor.from(pixels, [count, 32, 32, 3]), labels }
}

try {
  for (let step = 1; step <= 30; step++) {
    const { images, labels } = batch(32)
    const learningRate = step < 20 ? 0.005 : 0.001
    const { loss, correct } = await net.step(images, labels, { learningRate, momentum: 0.9, weightDecay: 5e-4 })
    if (step % 5 === 0) console.log(`step ${step}  loss ${loss.toFixed(4)}  ${correct} of 32 correct`)
  }
  const { images, labels } = batch(100)
  const answers = await (await net.forward(images)).argmax()
  console.log(`${answers.filter((answer, index) => answer === labels[index]).length} of 100 new images correct`)
} finally {
  net.dispose()
}
