// node scripts/gpu/first/torch.mjs [--batch N] ...: the rates that PyTorch reaches in large products and copies, and the time of
// the same network by torch.compile. A machine without PyTorch is a finding, not an error.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { addFinding } from '../finding.mjs'
import { readCase } from './case.mjs'

const { flags, precision, benchCase } = readCase({ way: 'compile', device: 'cuda', python: 'python3' })
const { way, device, python } = flags
const { batch, mode } = benchCase
const rounds = 5

const script = path.resolve(import.meta.dirname, '../../../bench/baseline_torch.py')
const server = spawn(python, [script, device], { stdio: ['pipe', 'pipe', 'pipe'] })
server.stdin.on('error', () => undefined)
let said = ''
server.stderr.setEncoding('utf8').on('data', (words) => {
  said = (said + words).slice(-4000)
  process.stderr.write(words)
})
const ended = new Promise((_, reject) => {
  server.on('error', (error) => reject(error))
  server.on('close', () => reject(new Error(said.trimEnd().split('\n').at(-1) || 'PyTorch ended')))
})
ended.catch(() => undefined)
const answers = createInterface({ input: server.stdout })[Symbol.asyncIterator]()

async function ask(request) {
  server.stdin.write(`${JSON.stringify(request)}\n`)
  const { value, done } = await Promise.race([answers.next(), ended])
  if (done) return ended
  const answer = JSON.parse(value)
  if (answer.error) throw new Error(answer.error)
  return answer
}

async function measure() {
  const { flopsPerSecond, bytesPerSecond } = await ask({ do: 'ceilings', precision })
  addFinding({ name: 'ceilings', tflops: flopsPerSecond / 1e12, terabytes: bytesPerSecond / 1e12 })
  const { ready } = await ask({ do: 'prepare', way, layout: 'channels_last', precision, ...benchCase })
  addFinding({ name: 'ready', seconds: ready, way, batch, mode })
  for (let round = 0; round < rounds; round++) {
    const { milliseconds } = await ask({ do: 'round', milliseconds: 400 })
    addFinding({ name: 'round', ms: milliseconds, imagesPerSecond: (1000 * batch) / milliseconds })
  }
}

try {
  addFinding({ name: 'versions', ...(await ask({ do: 'versions' })) })
  await measure()
} catch (error) {
  const absent = error.code === 'ENOENT' || /No module named 'torch'/.test(error.message)
  addFinding(absent ? { name: 'absent', said: 'no PyTorch' } : { name: 'error', error: error.message.slice(0, 600) })
  if (!absent) process.exitCode = 1
}
server.kill('SIGKILL')
