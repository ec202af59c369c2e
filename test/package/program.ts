// What a user writes: compiled with the types of the installed package, and run there. test/package/user.ts copies it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, save, Tensor, VGG } from 'vggnet'

const net: VGG = await VGG.create({ variant: 'VGG16', classes: 500, device: 'cpu', seed: 1 })
const images: Tensor<'float32'> = Tensor.randn([1, 3, 224, 224], { seed: 2 })
const { shape } = await net.forward(images)
const losses: number[] = []
for (let step = 0; step < 10; step++) {
  const { loss } = await net.step(images, [7], { learningRate: 0.001, momentum: 0.9, weightDecay: 5e-4 })
  losses.push(loss)
}
const logits = await (await net.forward(images)).data()
const folder = await mkdtemp(join(tmpdir(), 'vggnet-test-'))
try {
  const file = join(folder, 'model.safetensors')
  await save(net, file)
  net.dispose()
  const again = await load(file, { device: 'cpu' })
  const same = await (await again.forward(images)).data()
  const equal = logits.every((value, index) => Object.is(value, same[index]))
  console.log(JSON.stringify({ shape, losses, equal, parameters: again.parameters.length }))
  again.dispose()
} finally {
  await rm(folder, { recursive: true })
}

// @ts-expect-error: a name that is misspelt is refused by the types too
const misspelt = VGG.create({ variant: 'VGG16', clases: 500 })
await misspelt.catch(() => undefined)
