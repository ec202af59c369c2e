// node scripts/gpu/first/measure.mjs --mode training|inference [--batch N] [--variant D] ...: times one network on the GPU, and each
// stage of its training step. Every finding is a line of JSON as soon as it is known.
import { interleaved } from '../../../dist/measure/interleaved.js'
import { imagesOf, openOurs } from '../../../dist/measure/ours.js'
import { native } from '../../../dist/platform/native.js'
import { addFinding } from '../finding.mjs'
import { clocks } from '../machine.mjs'
import { readCase } from './case.mjs'

const { flags, precision, benchCase } = readCase({ milliseconds: '400' })
const { batch, mode } = benchCase
const milliseconds = Number(flags.milliseconds)
const rounds = 7
const profiles = 3

async function measureStages({ net, images }) {
  for (let round = 0; round < profiles; round++) addFinding({ name: 'stages', rows: await net.profile(images) })
}

// The last batch of an epoch: it should cost neither tuning nor a new recording.
async function stepSmaller({ net }) {
  const smaller = Math.ceil(batch / 2) + 1
  const started = performance.now()
  await net.step(imagesOf({ ...benchCase, batch: smaller }), new Int32Array(smaller), { learningRate: 1e-4 })
  addFinding({ name: 'smaller batch', batch: smaller, ms: performance.now() - started })
}

async function measure(ours) {
  addFinding({ name: 'ready', seconds: ours.readySeconds, device: ours.net.device })
  const perSecond = (ms) => ({ ms, imagesPerSecond: (1000 * batch) / ms })
  addFinding({ name: 'queued', ...perSecond(await ours.round(milliseconds)), rounds: 1 })
  const { times } = await interleaved([ours], { rounds, milliseconds })
  addFinding({ name: 'queued', ...perSecond(times[0].medianMs), leastMs: times[0].minimumMs, rounds })
  addFinding({ name: 'one by one', ms: await ours.alone(milliseconds) })
  const [state] = await Promise.all([clocks(), ours.round(2 * milliseconds)])
  if (state) addFinding({ name: 'clocks under load', ...state })
  const [{ bytes, freeBytes }] = native().cudaReport().cards
  addFinding({ name: 'memory', usedMegabytes: (bytes - freeBytes) / 1e6 })
  if (mode === 'training') {
    await measureStages(ours)
    await stepSmaller(ours)
  }
}

addFinding({ name: 'case', ...benchCase, precision })
try {
  const ours = await openOurs(benchCase, { device: 'cuda', precision })
  await measure(ours)
  ours.net.dispose()
} catch (error) {
  addFinding({ name: 'error', error: `${error.code ?? error.name}: ${error.message}` })
  console.error(error)
  process.exitCode = 1
}
