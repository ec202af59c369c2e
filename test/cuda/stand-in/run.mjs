// node test/cuda/stand-in/run.mjs release|debug SCRIPT [...]: runs Node on a script where a card is stood in for.
//
// The product's CUDA backend runs as it is, with cuDNN's frontend and its own loader. Replaced are four things only:
//  1. the CUDA runtime and driver, by runtime/: streams are threads with random delays, events, pinned memory, captured
//     graphs, errors when asked for, memory that the host cannot touch (where the processor has protection keys);
//  2. cuDNN below its frontend, by cudnn/, and 3. cuBLASLt, by cublas/: both offer right, wrong, failing and slow
//     algorithms, which compute plain sums in float64;
//  4. nvcc's code of the kernels, by their host form.
// It says nothing about those, or speed. runtime/state.hpp lists the variables that make it slow, small or faulty.
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
