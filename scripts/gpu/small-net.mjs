// node scripts/gpu/small-net.mjs [quick|wide [PRECISION [DEVICE]]]: a small net trains, infers and is freed on the GPU.
// quick: two convolutions, three steps; five graphs of cuDNN, what is tried first. wide: every kind of layer, every kernel of
// vggnet and several shapes; 119 graphs, what compute-sanitizer watches.

import { Tensor, VGG } from 'vggnet'
import { native } from '../../dist/platform/native.js'
import { addFinding } from './finding.mjs'

const [form = 'quick', precision = 'bf16', device = 'cuda'] = process.argv.slice(2)
const batch = 3
const size = 32
const pixels = Uint8Array.from({ length: batch * size * size * 3 }, (_, index) => (index * 7919) % 251)
const images = Tensor.from(pixels, [batch, size, size, 3])
const labels = [0, 1, 2]
const how = { learningRate: 1e-3, momentum: 0.9, weightDecay: 5e-4 }
const small = { classes: 5, imageSize: size, headWidth: 32, initialisation: 'he', seed: 1, device, precision }

// the second step is captured, the third is replayed
async function threeSteps(net) {
  const losses = []
  for (let step = 0; step < 3; step++) losses.push((await net.step(images, labels, how)).loss)
  return [losses.at(-1), ...losses]
}

async function everyCall(net) {
  const { loss } = await net.step(images, labels, how)
  await net.step(images, labels, { ...how, microBatch: 2 })
  await net.forward(images, { training: true, inputGradient: true })
  await net.backward(labels)
  await net.update(how)
  const logits = await net.forward(images)
  const larger = await net.forward(Tensor.randn([1, 3, 64, 64], { seed: 2 }))
  return [loss, ...(await logits.data()), ...(await larger.data())]
}

const forms = {
  quick: { variants: [{ name: 'small', channels: [16, 32], blocks: [[3], [3]] }], width: 1, calls: threeSteps },
  wide: { variants: ['A-LRN', 'C'], width: 0.25, calls: everyCall },
}

async function tryVariant(variant, { width, calls }) {
  const started = performance.now()
  const net = await VGG.create({ ...small, variant, width })
  const values = await calls(net)
  if (!values.every(Number.isFinite)) throw new Error(`not finite: ${values.slice(0, 8).join(', ')}`)
  const seconds = (performance.now() - started) / 1000
  const [card] = native().cudaReport().cards
  const versions = native().cudaReport().library.versions
  addFinding({
    name: 'small net',
    variant: net.variant,
    precision,
    device: net.device,
    loss: values[0],
    seconds,
    card,
    versions,
  })
  console.log(`${net.variant} ${precision} on ${net.device}, ${versions}: loss ${values[0]}, ${seconds.toFixed(1)} s`)
  net.dispose()
}

try {
  const { variants, ...rest } = forms[form]
  for (const variant of variants) await tryVariant(variant, rest)
} catch (error) {
  addFinding({ name: 'small net', error: `${error.code ?? error.name}: ${error.message}` })
  console.error(`${error.code ?? error.name}: ${error.message}`)
  process.exitCode = 1
}
