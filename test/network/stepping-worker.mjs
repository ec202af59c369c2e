// A worker thread that trains until it is terminated; it reports when its second step is running.
import { parentPort, workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

// Node 20 does not pass `--import tsx` on to worker threads
register()
const { Tensor, VGG } = await import('../../lib/index.ts')

const net = await VGG.create({ variant: 'A', classes: 10, imageSize: 64, ...workerData, width: 0.5, headWidth: 256 })
const images = Tensor.randn([16, 3, 64, 64], { seed: 1 })
for (let i = 0; ; i++) {
  const step = net.step(images, new Int32Array(16), { learningRate: 0.001 })
  if (i === 1) parentPort.postMessage('stepping')
  await step
}
