// node copies-program.mjs ONE OTHER FOLDER: uses two copies of the package in one process, in turns and at once.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { options } from './small-net.mjs'

const [one, other] = await Promise.all(
  process.argv.slice(2, 4).map((folder) => import(pathToFileURL(path.join(folder, 'dist/index.js')).href)),
)
const folder = process.argv[4]
const update = { learningRate: 0.01 }
const imagesOf = ({ Tensor }) => Tensor.randn([4, 3, 16, 16], { seed: 1 })
const failure = (promise) =>
  promise.then(
    () => new Error('none'),
    (error) => error,
  )

async function logits(copy) {
  const net = await copy.VGG.create(options)
  for (let step = 0; step < 20; step++) await net.step(imagesOf(copy), [0, 1, 2, 3], update)
  const values = await (await net.forward(imagesOf(copy))).data()
  net.dispose()
  return values.join()
}

const kinds = (list) => new Set(list).size
const interleaved = [await logits(one), await logits(other)]
const atOnce = await Promise.all([logits(one), logits(other), logits(one), logits(other)])

const [mine, yours] = [await one.VGG.create(options), await other.VGG.create(options)]
const wrong = (copy, net) => failure(net.forward(copy.Tensor.zeros([1, 2, 16, 16])))
const classes = (error, own, foreign) => [error instanceof own.VggError, error instanceof foreign.VggError, error.code]
const errors = {
  one: classes(await wrong(one, mine), one, other),
  other: classes(await wrong(other, yours), other, one),
  // this one comes from native code
  native: classes(await failure(mine.update(update)), one, other),
}
const strangers = [
  await failure(mine.forward(imagesOf(other))),
  await failure(mine.initialiseFrom(yours, { layers: 'all' })),
  await failure(one.save(yours, path.join(folder, 'model.safetensors'))),
].map((error) => `${error.code} ${error.message}`)
// numbers and files go from one to the other
const tensor = imagesOf(other)
const through = one.Tensor.from(await tensor.data(), [...tensor.shape])
await one.save(mine, path.join(folder, 'model.safetensors'))
const loadedNet = await other.load(path.join(folder, 'model.safetensors'), { device: 'cpu', threads: 2 })
const data = kinds([
  (await (await mine.forward(through)).data()).join(),
  (await (await loadedNet.forward(tensor)).data()).join(),
])

const maps = readFileSync('/proc/self/maps', 'utf8').split('\n')
const paths = new Set(maps.map((line) => line.split(/\s+/)[5] ?? ''))
const copies = (name) => [...paths].filter((file) => path.basename(file).replace('.glibc', '') === name).length
const loaded = Object.fromEntries(['vggnet.node', 'libdnnl.so.3', 'libgomp.so.1'].map((name) => [name, copies(name)]))

console.log(
  JSON.stringify({
    logits: [kinds(interleaved), kinds(atOnce), kinds([...interleaved, ...atOnce])],
    errors,
    strangers,
    data,
    loaded,
  }),
)
const busy = async (copy, net) => {
  for (;;) await net.step(imagesOf(copy), [0, 1, 2, 3], update)
}
void busy(one, mine)
void busy(other, yours)
setTimeout(() => process.exit(3), 30)
