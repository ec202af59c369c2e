// onnxruntime-node on the CPU, the baseline of step.ts in inference. Answers requests, one line of JSON each:
//   {"do": "prepare", "model": FILE, "shape": [8, 3, 224, 224]}
//   {"do": "round", "milliseconds": 400}
// Usage: baseline-onnx.mjs RUNTIME THREADS. RUNTIME is the folder of the package onnxruntime-node.
import { createRequire } from 'node:module'
import path from 'node:path'
import { createInterface } from 'node:readline'

const [runtime, threads] = process.argv.slice(2)
const { InferenceSession, Tensor } = createRequire(path.join(runtime, 'package.json'))(runtime)

async function millisecondsOf(run, runs) {
  const start = performance.now()
  for (let index = 0; index < runs; index++) await run()
  return (performance.now() - start) / runs
}

let run
let once

async function prepare({ model, shape }) {
  const start = performance.now()
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: Number(threads),
    executionMode: 'sequential',
  })
  const pixels = Float32Array.from(
    { length: shape.reduce((product, size) => product * size, 1) },
    (_, i) => (i % 251) / 251,
  )
  const images = new Tensor('float32', pixels, shape)
  run = () => session.run({ [session.inputNames[0]]: images })
  once = await millisecondsOf(run, 1)
  return { ready: (performance.now() - start) / 1000 }
}

async function round({ milliseconds }) {
  const runs = Math.max(1, Math.round(milliseconds / once))
  if (runs > 1) await run()
  once = await millisecondsOf(run, runs)
  return { milliseconds: once, runs }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  let answer
  try {
    answer = await (request.do === 'prepare' ? prepare : round)(request)
  } catch (error) {
    answer = { error: String(error).slice(0, 500) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
