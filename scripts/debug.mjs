// node scripts/debug.mjs SCRIPT [...]: runs Node on a script with the debug build (sanitizers, NaN in new memory, sentinels).
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative, builds } from './setup/native.mjs'
import { exitOnProblem } from './setup/problem.mjs'
import { sanitizerEnvironment } from './setup/sanitizer.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

await exitOnProblem(async () => {
  await buildNative(root, builds.debug)
  const env = { ...process.env, ...(await sanitizerEnvironment(root)) }
  const { status } = spawnSync(process.execPath, process.argv.slice(2), { env, stdio: 'inherit' })
  process.exitCode = status ?? 1
})
