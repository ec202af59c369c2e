// node train-program.mjs OPTIONS: trains a small net on random images, in the group of an MPI launcher if there is one. OPTIONS
// is JSON: those of `train`, and `images`, `kill`: [rank, step], `hang`: [rank, step], `fail`: [rank, step], `stop`: [rank, step],
// `killAfter`: [rank, milliseconds], `validates`: on the same images, `from`: a checkpoint, `unreadable`: indices. Each rank writes its result into the folder `into`.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { loadTraining, openGroup, Random, train, VGG } from 'vggnet'

const {
  images = 24,
  kill,
  hang,
  fail,
  stop,
  from: file,
  into,
  weights: asksWeights = false,
  validates = false,
  killAfter,
  unreadable = [],
  differs = {},
  ...options
} = JSON.parse(process.argv[2])
const group = await openGroup()
const mine = (event, step) => event !== undefined && event[0] === group.rank && event[1] === step

const model = {
  variant: { name: 'small', channels: [16, 32], blocks: [[3], [3, 3]] },
  ...{ classes: 5, imageSize: 16, headWidth: 32, device: 'cpu', threads: 1, seed: 3, group },
}
const random = new Random(7)
const pixels = Uint8Array.from({ length: images * 16 * 16 * 3 }, () => random.next() >>> 24)
const data = {
  ...{ count: images, height: 16, width: 16, channels: 3, classNames: ['a', 'b', 'c', 'd', 'e'] },
  labels: Int32Array.from({ length: images }, (_, index) => index % 5),
  read(indices, into) {
    indices.forEach((index, position) => {
      into.set(pixels.subarray(index * 768, (index + 1) * 768), position * 768)
    })
    return [...indices.entries()]
      .filter(([, index]) => unreadable.includes(index))
      .map(([position, index]) => ({ position, name: `image ${index}`, reason: 'the test wants it' }))
  },
}

const loaded =
  file === undefined ? { net: await VGG.create(model), state: undefined } : await loadTraining(file, { group })
const { net, state } = loaded
const aborting = new AbortController()
const steps = []
const training = {
  ...{ batch: 8, epochs: 2, learningRate: 0.01, ...options, ...(differs[group.rank] ?? {}) },
  signal: aborting.signal,
  ...(state && { resume: state }),
  ...(validates && { validation: data }),
  onStep({ step, loss, images: count, correct }) {
    steps.push({ step, loss, images: count, correct })
    if (mine(kill, step)) process.kill(process.pid, 'SIGKILL')
    if (mine(hang, step)) process.kill(process.pid, 'SIGSTOP')
    if (mine(stop, step)) aborting.abort()
    if (mine(fail, step)) throw new Error('the test wants it')
  },
}

if (killAfter?.[0] === group.rank) setTimeout(() => process.kill(process.pid, 'SIGKILL'), killAfter[1])
let outcome
try {
  const { history, checkpoint } = await train(net, data, training)
  outcome = { checkpoint, skipped: history[0]?.skippedCount, top1: history.at(-1)?.validation?.top1 }
} catch (error) {
  process.exitCode = 3
  outcome = { code: error.code, message: error.message }
}
if (group.failure === undefined) {
  const hash = createHash('sha256')
  const weights = {}
  for (const { name } of net.parameters) {
    const values = await (await net.parameter(name)).data()
    hash.update(values)
    if (asksWeights) weights[name] = [...values]
  }
  const { rank, size } = group
  outcome = {
    ...outcome,
    steps,
    rank,
    size,
    hash: hash.digest('hex'),
    ...(asksWeights && { weights }),
    traffic: group.traffic,
  }
}
writeFileSync(path.join(into, `${group.rank}.json`), JSON.stringify({ rank: group.rank, ...outcome }))
await group.close()
