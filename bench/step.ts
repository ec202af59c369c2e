// Images per second of a whole network: npm run bench -- --variant D --image-size 224 --batch 8 --mode training
// bench/peer_torch.py takes the same flags and prints the same line for PyTorch; run the two in turns.
import { parseArgs } from 'node:util'
import { Tensor, VGG } from 'vggnet'

const text = (value: string) => ({ type: 'string', default: value }) as const
const { values } = parseArgs({
  options: {
    variant: text('D'),
    'image-size': text('224'),
    batch: text('8'),
    'head-width': text('4096'),
    classes: text('1000'),
    mode: text('training'),
    rounds: text('6'),
  },
})
const [side, batch, headWidth, classes, rounds] = [
  values['image-size'],
  values.batch,
  values['head-width'],
  values.classes,
  values.rounds,
].map(Number) as [number, number, number, number, number]
const { variant, mode } = values
if (mode !== 'training' && mode !== 'inference')
  throw new Error(`Expected training or inference for --mode but received '${mode}'`)

const net = await VGG.create({ variant, classes, imageSize: side, headWidth, initialisation: 'he', seed: 1 })
try {
  const pixels = Uint8Array.from({ length: batch * side * side * 3 }, (_, index) => (index * 7919) % 251)
  const images = Tensor.from(pixels, [batch, side, side, 3])
  const labels = Array.from({ length: batch }, (_, index) => index % classes)
  const run = () =>
    mode === 'training'
      ? net.step(images, labels, { learningRate: 1e-4, momentum: 0.9, weightDecay: 5e-4 })
      : net.forward(images)
  await run()
  const seconds: number[] = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    await run()
    seconds.push((performance.now() - start) / 1000)
  }
  seconds.sort((a, b) => a - b)
  const rate = (index: number) => (batch / (seconds[index] ?? Number.NaN)).toFixed(2)
  const what = `vggnet ${variant} ${side}x${side} batch ${batch} ${mode} on ${net.device}`
  console.log(`${what}: best ${rate(0)}, median ${rate(Math.floor(rounds / 2))} images/s`)
} finally {
  net.dispose()
}
