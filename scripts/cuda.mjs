// node scripts/cuda.mjs SCRIPT [...]: runs Node on a script, which finds NVIDIA's libraries where `npm run build:cuda` did.
import { spawnSync } from 'node:child_process'
import { cudaEnvironment, cudaLibraries } from './setup/cuda-libraries.mjs'
import { exitOnProblem } from './setup/problem.mjs'

await exitOnProblem(async () => {
  const env = { ...process.env, ...cudaEnvironment(await cudaLibraries()) }
  const { status } = spawnSync(process.execPath, process.argv.slice(2), { env, stdio: 'inherit' })
  process.exitCode = status ?? 1
})
