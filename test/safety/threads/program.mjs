// node program.mjs SECONDS SEED: nets that share a process post calls that succeed, fail and are refused, in any order, while worker
// threads that do the same are terminated. Every call that succeeds must give the numbers that it gives alone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Tensor, VGG } from 'vggnet'
import { Random } from '../../../dist/random.js'

const options = {
  variant: { name: 'small', channels: [4, 8], blocks: [[3], [3, 3]] },
  ...{ classes: 200, imageSize: 8, headWidth: 12, device: 'cpu', seed: 3 },
}
const how = { learningRate: 0.01, momentum: 0.9 }
const [seconds, seed] = isMainThread ? process.argv.slice(2).map(Number) : workerData
const random = new Random(seed)

const imagesOf = (count, from) => Tensor.randn([count, 3, 8, 8], { seed: from, mean: 127, std: 60 })
const labelsOf = (count) => Array.from({ length: count }, (_, index) => index % 5)
const notFinite = async (count) => {
  const values = Float32Array.from(await imagesOf(count, 1).data())
  values[random.integer(values.length)] = Number.NaN
  return Tensor.from(values, [count, 3, 8, 8])
}
const codeOf = (promise) =>
  promise.then(
    () => 'none',
    (error) => error.code,
  )

/** The logits of a batch of each size by a fresh net, and the losses of its steps: those that every net must give. */
const sizes = [1, 2, 3, 5, 8]
const batches = sizes.map((size) => imagesOf(size, size))
async function alone() {
  const net = await VGG.create(options)
  const logits = []
  for (const images of batches) logits.push([...(await (await net.forward(images)).data())])
  const losses = []
  for (let time = 0; time < 12; time++)
    losses.push((await net.step(batches[time % 5], labelsOf(sizes[time % 5]), how)).loss)
  net.dispose()
  return { logits, losses }
}
const expected = await alone()

/** Steps in the order of `alone`, with forward passes before them and calls that fail between them, all posted at once. */
async function mixed() {
  const net = await VGG.create(options)
  const forwards = batches.map(async (images, index) => {
    const logits = [...(await (await net.forward(images)).data())]
    assert.deepEqual(logits, expected.logits[index])
  })
  const bad = await Promise.all([notFinite(3), notFinite(8)])
  const losses = []
  const failures = []
  for (let time = 0; time < 12; time++) {
    const [images, labels] = [batches[time % 5], labelsOf(sizes[time % 5])]
    losses.push(net.step(images, labels, how))
    if (random.integer(3) === 0) failures.push(['NOT_FINITE', codeOf(net.step(bad[0], labelsOf(3), how))])
    if (random.integer(4) === 0) failures.push(['NOT_FINITE', codeOf(net.forward(bad[1]))])
    if (random.integer(4) === 0) failures.push(['none', codeOf(net.forward(images))])
    if (random.integer(6) === 0) await pause(random.integer(5))
  }
  await Promise.all(forwards)
  assert.deepEqual(
    (await Promise.all(losses)).map(({ loss }) => loss),
    expected.losses,
  )
  for (const [code, got] of failures) assert.equal(await got, code)
  net.dispose()
}

/** Nets that are disposed, or dropped, with calls in their queue. */
async function disposed() {
  const net = await VGG.create(options)
  const codes = Array.from({ length: 6 }, () => codeOf(net.step(batches[4], labelsOf(8), how)))
  if (random.integer(2)) await pause(random.integer(10))
  net.dispose()
  for (const code of await Promise.all(codes)) assert.match(code, /^(none|DISPOSED)$/)
}

async function terminated() {
  const worker = new Worker(fileURLToPath(import.meta.url), {
    workerData: [1e6, seed + random.integer(1000)],
    execArgv: [],
  })
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
  failed.catch(() => undefined)
  await Promise.race([once(worker, 'message'), failed])
  await pause(random.integer(300))
  await worker.terminate()
}

const works = isMainThread ? [mixed, mixed, disposed, terminated] : [mixed, disposed]
const end = performance.now() + seconds * 1000
const done = Object.fromEntries(works.map((work) => [work.name, 0]))
parentPort?.postMessage('busy')
await Promise.all(
  works.map(async (work) => {
    while (performance.now() < end) {
      await work()
      done[work.name] += 1
    }
  }),
)
console.log(JSON.stringify(done))
