// node calls-program.mjs OPTIONS: a loop of forward, backward and update on each rank's part of a batch; then what
// a group does for a program. OPTIONS is JSON: `into`, the folder for each rank's result.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { openGroup, Tensor, VGG } from 'vggnet'

const { into } = JSON.parse(process.argv[2])
const group = await openGroup()
const model = { variant: { name: 'small', channels: [16, 32], blocks: [[3], [3, 3]] }, classes: 5, imageSize: 16 }
const net = await VGG.create({ ...model, headWidth: 32, device: 'cpu', threads: 1, seed: 3, group })
const batch = 8
const each = 4
// alone, one process computes the parts of both ranks one after the other
const parts = group.size === 1 ? [0, each] : [group.rank * each]
for (let step = 0; step < 3; step++) {
  const all = await Tensor.randn([batch, 3, 16, 16], { seed: step, mean: 120, std: 50 }).data()
  for (const [index, firstImage] of parts.entries()) {
    const own = Tensor.from(all.slice(firstImage * 768, (firstImage + each) * 768), [each, 3, 16, 16])
    await net.forward(own, { training: true, firstImage })
    const labels = Array.from({ length: each }, (_, image) => (firstImage + image) % 5)
    await net.backward(labels, { batch, accumulate: index > 0 })
  }
  await net.update({ learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 })
}
await net.checkSameParameters()
const weights = {}
for (const { name } of net.parameters) weights[name] = [...(await (await net.parameter(name)).data())]

const values = Float32Array.of(1, group.rank, 0.1)
await group.sum(values)
const gathered = await group.gather({ rank: group.rank, text: 'x'.repeat(2000 * group.rank) })
const shared = await group.share(() => ({ from: group.rank }))
const refused = await group
  .share(() => {
    throw new RangeError('not today')
  })
  .catch(({ message }) => message)
const pixels = new Float32Array(768).fill(group.rank === 1 ? Number.NaN : 1)
const bad = await net
  .step(Tensor.from(pixels, [1, 3, 16, 16]), [1], { learningRate: 0.01 })
  .catch(({ code, message }) => ({ code, message }))
await group.close()
// refused, instead of waiting for a thread that has ended
const closed = []
if (group.size > 1) closed.push(await group.gather(1).catch(({ code }) => code))
if (group.size > 1) closed.push(await net.checkSameParameters().catch(({ code }) => code))
const result = {
  ...{ rank: group.rank, size: group.size, steps: [], weights, sum: [...values], shared, refused, bad, closed },
  gathered: gathered.map(({ rank, text }) => [rank, text.length]),
}
writeFileSync(path.join(into, `${group.rank}.json`), JSON.stringify(result))
