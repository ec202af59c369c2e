// node ending-program.mjs FOLDER WAY WORK PLACE MS: does a work again and again in PLACE (main, worker), says 'busy', and
// ends MS milliseconds later in its WAY; those that a signal ends wait for it.
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const [folder, way, work, position, ms] = isMainThread ? process.argv.slice(2) : workerData

async function doAgainAndAgain(say) {
  const { works } = await import('./work.mjs')
  const does = (await works(folder))[work]
  for (let time = 0; ; time++) {
    // two at a time: one that is computed, one that waits
    const both = [does(), does()]
    if (time === 1) say()
    await Promise.all(both)
  }
}

const ways = {
  'process.exit': () => process.exit(3),
  'process.exit in a listener': () => process.exit(3),
  'uncaught exception': () => {
    throw new Error('thrown')
  },
  'unhandled rejection': () => void Promise.reject(new Error('rejected')),
  'process.exit in the worker': () => process.exit(5),
  'uncaught exception in the worker': () => {
    throw new Error('thrown in the worker')
  },
}
const inWorker = way.endsWith('in the worker')

function end() {
  if (isMainThread) process.stdout.write('busy\n')
  setTimeout(ways[way] ?? (() => undefined), Number(ms))
}

// registered before the package is loaded, as a program may do
if (way === 'process.exit in a listener') process.on('exit', () => process.exit(4))
if (!isMainThread) {
  await doAgainAndAgain(inWorker ? end : () => parentPort.postMessage('busy'))
} else if (position === 'main') {
  await doAgainAndAgain(end)
} else {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: process.argv.slice(2), execArgv: [] })
  worker.on('message', end)
  worker.on('error', (error) => process.stdout.write(`${error.message}\n`))
  worker.on('exit', async (code) => {
    if (!inWorker) return
    const { computed } = await import('./work.mjs')
    process.stdout.write(`the worker ended with ${code}, here ${(await computed()).length > 0}\n`)
  })
}
