#!/usr/bin/env node
import { nodeObstacle } from '../platform/load/node-floor.js'

// before other imports, which may use features that an older Node lacks
const obstacle = nodeObstacle(process.versions.node, process.execPath)
if (obstacle === '') {
  const { run } = await import('./program.js')
  await run()
} else {
  console.error(`vggnet: UNSUPPORTED_PLATFORM: ${obstacle}`)
  process.exitCode = 1
}
