// Requests per second of a service: batching beside one call for each request, and beside onnxruntime-node one at a time, on the
// same VGG-16 at 224x224, cores and HTTP server. Clients send pixels, so that nothing is decoded.
// Usage: npx tsx bench/service.ts [--connections 16] [--requests 48] [--rounds 3] [--threads 2] [--batch 16]
// onnxruntime-node is measured where `npm run bench:peers` has installed it; PyTorch there writes its model for one image.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { batching, Tensor, VGG } from '../lib/index.js'
import { baselineFiles, baselinesAreInstalled, defaultBaselinesFolder } from '../scripts/setup/peers.mjs'
import { machineOf, machineText } from './tables.js'

const side = 224
const bytes = side * side * 3
const folder = defaultBaselinesFolder()
const onnxModel = path.join(folder, 'vgg16-batch-1.onnx')

type Contender = 'batching' | 'one at a time' | 'onnxruntime-node'
/** The index of the class of an image [h, w, c]. */
type Answer = (pixels: Uint8Array) => Promise<number>

async function vggnetAnswer(contender: Contender, threads: number, maxBatch: number): Promise<Answer> {
  const net = await VGG.create({ variant: 'D', classes: 1000, device: 'cpu', threads, seed: 1 })
  const { forward } = contender === 'batching' ? boundTo(batching(net, { maxBatch })) : boundTo(net)
  return async (pixels) => (await (await forward(Tensor.from(pixels, [1, side, side, 3]))).argmax())[0] ?? 0
}

const boundTo = (of: { forward(images: Tensor): Promise<Tensor<'float32'>> }) => ({
  forward: (images: Tensor) => of.forward(images),
})

async function onnxAnswer(threads: number): Promise<Answer> {
  const { runtime } = baselineFiles(folder)
  const { InferenceSession, Tensor: OnnxTensor } = createRequire(path.join(runtime, 'package.json'))(runtime)
  const settings = { intraOpNumThreads: threads, executionMode: 'sequential' }
  const session = await InferenceSession.create(onnxModel, settings)
  return async (pixels) => {
    const planes = new Float32Array(bytes)
    for (let index = 0; index < bytes; index++)
      planes[(index % 3) * side * side + Math.floor(index / 3)] = pixels[index] ?? 0
    const { logits } = await session.run({ images: new OnnxTensor('float32', planes, [1, 3, side, side]) })
    return logits.data.indexOf(Math.max(...logits.data))
  }
}

/** Serves one contender in this process, until it is ended. */
async function serve(contender: Contender, threads: number, maxBatch: number): Promise<void> {
  const answer =
    contender === 'onnxruntime-node' ? await onnxAnswer(threads) : await vggnetAnswer(contender, threads, maxBatch)
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    response.end(String(await answer(new Uint8Array(Buffer.concat(parts)))))
  })
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
}

/** A contender in a process of its own, which is stopped while the others are measured. */
async function open(contender: Contender, words: readonly string[]) {
  const script = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, ['--import', 'tsx', script, '--serve', contender, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data).trim()))
    child.once('exit', () => reject(new Error(`The service of ${contender} ended`)))
  })
  return {
    contender,
    rounds: [] as { perSecond: number; p50: number; p99: number }[],
    async load(connections: number, amount: number) {
      child.kill('SIGCONT')
      const body = Buffer.alloc(bytes, 100)
      const url = `http://127.0.0.1:${port}`
      const { latency, duration, ...found } = await autocannon({
        url,
        method: 'POST',
        body,
        connections,
        amount,
        timeout: 300,
      })
      child.kill('SIGSTOP')
      if (found['2xx'] !== amount) throw new Error(`${contender} answered ${found['2xx']} of ${amount} requests`)
      return { perSecond: amount / duration, p50: latency.p50, p99: latency.p99 }
    },
    end: () => child.kill('SIGKILL'),
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

function exportModel(): boolean {
  if (!baselinesAreInstalled(folder)) return false
  if (existsSync(onnxModel)) return true
  const script = fileURLToPath(new URL('baseline_torch.py', import.meta.url))
  const { status } = spawnSync(baselineFiles(folder).python, [script, 'export', onnxModel, '1'], { stdio: 'inherit' })
  return status === 0
}

async function measure(flags: Record<'connections' | 'requests' | 'rounds', number>, words: readonly string[]) {
  const names: Contender[] = ['batching', 'one at a time', ...(exportModel() ? (['onnxruntime-node'] as const) : [])]
  const contenders: Awaited<ReturnType<typeof open>>[] = []
  try {
    for (const name of names) {
      const one = await open(name, words)
      contenders.push(one)
      await one.load(flags.connections, 2 * flags.connections)
    }
    for (let round = 0; round < flags.rounds; round++)
      for (const one of contenders) one.rounds.push(await one.load(flags.connections, flags.requests))
  } finally {
    for (const one of contenders) one.end()
  }
  return contenders
}

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '16' },
    requests: { type: 'string', default: '48' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    batch: { type: 'string', default: '16' },
    serve: { type: 'string' },
  },
})
const [connections, requests, rounds] = [values.connections, values.requests, values.rounds].map(Number) as number[]
if (values.serve !== undefined) await serve(values.serve as Contender, Number(values.threads), Number(values.batch))
else {
  const words = ['--threads', values.threads, '--batch', values.batch]
  const contenders = await measure({ connections, requests, rounds }, words)
  console.log(machineText(machineOf({})))
  console.log(
    `VGG-16, 224x224, ${connections} connections, medians of ${rounds} interleaved rounds of ${requests} requests`,
  )
  const [first] = contenders
  for (const { contender, rounds: found } of contenders) {
    const ratio = median(found.map(({ perSecond }, round) => (first?.rounds[round]?.perSecond ?? 0) / perSecond))
    const [perSecond, p50, p99] = (['perSecond', 'p50', 'p99'] as const).map((key) =>
      median(found.map((one) => one[key])),
    )
    console.log(
      `${contender.padEnd(18)} ${perSecond?.toFixed(2)} requests/s, median ${p50} ms, 99th percentile ${p99} ms; batching is ${ratio.toFixed(2)}x`,
    )
  }
}
