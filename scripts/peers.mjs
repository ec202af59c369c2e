// npm run bench:peers [-- --to FOLDER]: installs PyTorch and onnxruntime-node, the baselines of `npm run bench` on the CPU, in a
// separate folder (about 2 GB), unless they are installed there.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkPlatform } from '../lib/platform/wheels/problem.mjs'
import { defaultBaselinesFolder, installBaselines } from './setup/peers.mjs'
import { exitOnProblem, SetupProblem } from './setup/problem.mjs'
import { checkNode } from './setup/tools.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

function targetFolder() {
  try {
    const { values } = parseArgs({ options: { to: { type: 'string' } } })
    return path.resolve(values.to ?? defaultBaselinesFolder())
  } catch (error) {
    throw new SetupProblem('BUILD_FAILED', `Expected [--to FOLDER] for bench:peers: ${error.message}`)
  }
}

await exitOnProblem(async () => {
  checkNode()
  checkPlatform()
  await installBaselines(root, targetFolder())
})
