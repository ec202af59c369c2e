// npm run bench:peers [-- --to FOLDER]: what `npm run bench` takes turns with on a processor, PyTorch and onnxruntime-node, into
// a folder of its own (about 2 GB). What is there is not fetched again.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkPlatform } from '../lib/platform/wheels/problem.mjs'
import { defaultPeersFolder, installPeers } from './setup/peers.mjs'
import { exitOnProblem, SetupProblem } from './setup/problem.mjs'
import { checkNode } from './setup/tools.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

function folderWanted() {
  try {
    const { values } = parseArgs({ options: { to: { type: 'string' } } })
    return path.resolve(values.to ?? defaultPeersFolder())
  } catch (error) {
    throw new SetupProblem('BUILD_FAILED', `Expected [--to FOLDER] for bench:peers: ${error.message}`)
  }
}

await exitOnProblem(async () => {
  checkNode()
  checkPlatform()
  await installPeers(root, folderWanted())
})
