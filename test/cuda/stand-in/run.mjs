// node test/cuda/stand-in/run.mjs release|debug SCRIPT [...]: runs Node on a script where a card is stood in for.
//
// The stand-in is the product's CUDA backend (stages, kernels, parameters, gradients, memory plan, recordings) compiled
// for the host, with cuDNN, cuBLASLt and the card itself replaced by plain sums over host memory. It proves what is
// listed; it says nothing about cuDNN, cuBLASLt, the runtime, nvcc's code, or speed.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { exitOnProblem } from '../../../scripts/setup/problem.mjs'
import { buildStandIn } from './build.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const [kind, ...words] = process.argv.slice(2)

await exitOnProblem(async () => {
  const env = { ...process.env, ...(await buildStandIn(root, kind)) }
  const { status } = spawnSync(process.execPath, words, { env, stdio: 'inherit' })
  process.exitCode = status ?? 1
})
