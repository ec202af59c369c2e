import { expect, test } from 'vitest'
import { runProgram } from './small.js'

const preface = `
  import { native } from 'vggnet-lib/platform/native.ts'
  import { baseline, coarseNoise } from 'vggnet-test/setup/jpegs.ts'
  const bytes = baseline(await coarseNoise(375, 500), '4:2:0')
  const crop = { source: { height: 375, width: 500 }, box: { height: 256, width: 341, top: 9, left: 40 }, crop: { height: 224, width: 224, channels: 3 }, memoryLimit: 2 ** 30 }
  const into = () => new Uint8Array(224 * 224 * 3)
  const decode = () => native().decodeJpeg({ bytes, ...crop, into: into() })
`

async function outputOf(body: string, code = 0): Promise<string> {
  const ended = await runProgram(preface + body)
  expect({ ...ended, out: '' }).toEqual({ code, signal: null, error: '', out: '' })
  return ended.out.trim()
}

// The debug build keeps freed memory back, so that resident memory shows nothing there; test/manners/leaks.test.ts does.
const inRelease = test.skipIf(process.env.ASAN_OPTIONS !== undefined)

inRelease('2,000 images, some of them damaged, and 20,000 small ones leave the memory as it was', async () => {
  const out = await outputOf(`
    const damaged = bytes.subarray(0, bytes.length >> 1)
    const pixels = new Uint8Array(375 * 500 * 3)
    const eight = { height: 8, width: 8 }
    const tiny = {
      bytes: baseline(await coarseNoise(8, 8), '4:4:4'),
      source: eight,
      box: { ...eight, top: 0, left: 0 },
      crop: { ...eight, channels: 3 },
      into: new Uint8Array(8 * 8 * 3),
      memoryLimit: 2 ** 30,
    }
    const some = async (count) => {
      for (let at = 0; at < count; at += 4) {
        await Promise.all([
          decode(),
          decode(),
          native().decodeJpeg({ bytes: damaged, ...crop, into: into() }).catch(() => undefined),
          native().rescale({ pixels, ...crop, into: into() }),
        ])
      }
      // what is lost of each, however small it is
      for (let at = 0; at < 10 * count; at++) await native().decodeJpeg(tiny)
      globalThis.gc()
      return process.memoryUsage().rss / 2 ** 20
    }
    const before = await some(1000)
    console.log((await some(2000)) - before)`)
  expect(Number(out)).toBeLessThan(12)
})

test('a process ends with its own code while images are decoded, and by itself when they are', async () => {
  const many = 'const all = Array.from({ length: 60 }, decode)'
  for (const wait of ['', 'await new Promise((done) => setImmediate(done))', 'await all[3]']) {
    expect(await outputOf(`${many}\n${wait}\nconsole.log('leaving')\nprocess.exit(7)`, 7)).toBe('leaving')
  }
  expect(await outputOf(`${many}\nconsole.log('waiting')`)).toBe('waiting')
})

test('a worker thread may end while it decodes', async () => {
  const out = await outputOf(`
    import { Worker } from 'node:worker_threads'
    const program = 'const { workerData } = require("node:worker_threads")\\n' +
      'const addon = require(workerData.binary)\\n' +
      'for (let time = 0; time < 40; time++) addon.decodeJpeg(workerData.call).catch(() => undefined)\\n' +
      'require("node:worker_threads").parentPort.postMessage("begun")'
    const { installation } = await import('vggnet-lib/platform/native.ts')
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(program, { eval: true, execArgv: [], workerData: { binary: installation().binary, call: { bytes, ...crop, into: into() } } })
      await new Promise((done) => worker.once('message', done))
      await new Promise((done) => setTimeout(done, 4 * round))
      await worker.terminate()
    }
    console.log(await decode())`)
  expect(out).toBe('undefined')
})
