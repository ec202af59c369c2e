// node scripts/gpu/first/torch.mjs [--batch N] ...: the rates that PyTorch reaches in large products and copies, and the time of
// the same network by torch.compile. A machine without PyTorch is a finding, not an error.
import path from 'node:path'
import { BaselineProcess } from '../../../bench/baseline-process.mjs'
import { addFinding } from '../finding.mjs'
import { readCase } from './case.mjs'

const { flags, precision, benchCase } = readCase({ way: 'compile', device: 'cuda', python: 'python3' })
const { way, device, python } = flags
const { batch, mode } = benchCase
const rounds = 5

const script = path.resolve(import.meta.dirname, '../../../bench/baseline_torch.py')
const torch = new BaselineProcess({ program: python, args: [script, device], between: 'waiting' })
// the time of the part is limited by the one who runs it
const ask = (request) => torch.ask(request, 3600)

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
torch.close()
