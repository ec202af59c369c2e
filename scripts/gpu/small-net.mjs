// node scripts/gpu/small-net.mjs [PRECISION [DEVICE]]: a small net trains, infers and is freed on the card. What compute-sanitizer
// watches, and the first thing that is tried; every kind of layer and every kernel of its own takes part.
import { Tensor, VGG } from 'vggnet'

const [precision = 'bf16', device = 'cuda'] = process.argv.slice(2)
const batch = 3
const size = 32
const pixels = Uint8Array.from({ length: batch * size * size * 3 }, (_, index) => (index * 7919) % 251)
const images = Tensor.from(pixels, [batch, size, size, 3])
const labels = [0, 1, 2]
const how = { learningRate: 1e-3, momentum: 0.9, weightDecay: 5e-4 }

async function tryVariant(variant) {
  const started = performance.now()
  const net = await VGG.create({
    ...{ variant, classes: 5, imageSize: size, width: 0.25, headWidth: 32, initialisation: 'he', seed: 1 },
    ...{ device, precision },
  })
  const { loss } = await net.step(images, labels, how)
  await net.step(images, labels, { ...how, microBatch: 2 })
  await net.forward(images, { training: true, inputGradient: true })
  await net.backward(labels)
  await net.update(how)
  const logits = await net.forward(images)
  const larger = await net.forward(Tensor.randn([1, 3, 64, 64], { seed: 2 }))
  const values = [loss, ...(await logits.data()), ...(await larger.data())]
  if (!values.every(Number.isFinite)) throw new Error(`not finite: loss ${loss}`)
  console.log(`${variant} ${precision} on ${net.device}: loss ${loss}, ${(performance.now() - started).toFixed(0)} ms`)
  net.dispose()
}

try {
  for (const variant of ['A-LRN', 'C']) await tryVariant(variant)
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`)
  process.exitCode = 1
}
