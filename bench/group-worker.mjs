// mpirun -n N node bench/group-worker.mjs OPTIONS: steps of a VGG net in the group of an MPI launcher, or alone. OPTIONS is JSON:
// variant, imageSize, batch (of all ranks), threads, warm and steps. Rank 0 prints the milliseconds of each step.
import { openGroup, Tensor, VGG } from '../dist/index.js'

const { variant, imageSize, batch, threads, warm, steps } = JSON.parse(process.argv[2])
const group = await openGroup()
const own = Math.floor((batch * (group.rank + 1)) / group.size) - Math.floor((batch * group.rank) / group.size)
const net = await VGG.create({ variant, classes: 1000, imageSize, device: 'cpu', threads, seed: 1, group })
const images = Tensor.from(new Uint8Array(own * imageSize ** 2 * 3).fill(128), [own, imageSize, imageSize, 3])
const labels = new Int32Array(own)
const milliseconds = []
let before = group.traffic
for (let step = -warm; step < steps; step++) {
  if (step === 0) before = group.traffic
  const start = performance.now()
  await net.step(images, labels, { learningRate: 1e-6, momentum: 0.9, weightDecay: 5e-4 })
  if (step >= 0) milliseconds.push(performance.now() - start)
}
const { bytes, seconds, waited } = group.traffic
const each = {
  bytes: (bytes - before.bytes) / steps,
  sumMs: (1000 * (seconds - before.seconds)) / steps,
  waitMs: (1000 * (waited - before.waited)) / steps,
}
if (group.rank === 0) console.log(JSON.stringify({ milliseconds, ...each }))
net.dispose()
await group.close()
