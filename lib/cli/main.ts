#!/usr/bin/env node
async function nodeIsSupported(): Promise<boolean> {
  try {
    await import('../platform/load/node-check.js')
    return true
  } catch (error) {
    console.error(`vggnet: UNSUPPORTED_PLATFORM: ${(error as Error).message}`)
    process.exitCode = 1
    return false
  }
}

// The program is imported only then, because it may use what an older Node lacks.
if (await nodeIsSupported()) {
  const { run } = await import('./program.js')
  await run()
}
