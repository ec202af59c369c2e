// A worker thread that trains on the card until it is terminated; it says when its second step is under way.
import { parentPort } from 'node:worker_threads'
import { Tensor, VGG } from 'vggnet'

const net = await VGG.create({ variant: 'A', classes: 10, imageSize: 64, device: 'cuda', headWidth: 256 })
const images = Tensor.randn([64, 3, 64, 64], { seed: 1 })
for (let i = 0; ; i++) {
  const step = net.step(images, new Int32Array(64), { learningRate: 0.001 })
  if (i === 1) parentPort.postMessage('stepping')
  await step
}
