// Opens devices in a process of its own, one after another or at once, and prints what came of each as JSON.
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe } from '../../../lib/network/describe.js'
import type { RunOptions } from '../../../lib/network/open.js'
import { native } from '../../../lib/platform/native.js'
import { layers, type Outcome, opened, outcomeOf } from './opened.js'

export type { Outcome } from './opened.js'

/** As `opened`, where the search of lib/platform/cuda/positions.ts is not to find what this machine has. */
const openedIn = (folders: string[], library: string): Promise<Outcome> =>
  outcomeOf(async () => {
    native().setCudaLocations({ library, noLibrary: 'no library', folders, filesCure: 'the cure' })
    const device = { device: 'cuda', threads: 0, precision: undefined, deterministic: false }
    const net = await native().Network.create({
      layers,
      ...device,
      seed: 0,
      exact: false,
      memoryLimit: 0,
      group: false,
    })
    return [net.device, net.deviceReason]
  })

const planned = (device: 'cuda' | 'auto'): Promise<Outcome> =>
  outcomeOf(() => [describe({ layers, shape: [1, 1, 4, 4], device }).device, ''])

const { values } = parseArgs({
  options: {
    open: { type: 'string', multiple: true, default: [] },
    plan: { type: 'string', multiple: true, default: [] },
    precision: { type: 'string' },
    together: { type: 'boolean' },
    workers: { type: 'boolean' },
    copy: { type: 'string', multiple: true, default: [] },
    folders: { type: 'string' },
    library: { type: 'string', default: '' },
  },
})

/** The outcomes in two worker threads and the main thread, all at the same time. */
async function openedInThreads(): Promise<Outcome[]> {
  const workers = [0, 1].map(() => new Worker(new URL('opening-worker.mjs', import.meta.url), { execArgv: [] }))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const answers = workers.map((worker) => once(worker, 'message'))
  for (const worker of workers) worker.postMessage('open')
  const own = await opened({ device: 'cuda' })
  return [own, ...(await Promise.all(answers)).map(([outcome]) => outcome as Outcome)]
}

const options = (device: string): RunOptions =>
  ({ device, ...(values.precision && { precision: values.precision }) }) as RunOptions
const outcomes: Outcome[] = []
if (values.together) outcomes.push(...(await Promise.all(values.open.map((device) => opened(options(device))))))
else for (const device of values.open) outcomes.push(await opened(options(device)))
for (const device of values.plan) outcomes.push(await planned(device as 'cuda'))
if (values.folders !== undefined) {
  outcomes.push(await openedIn(values.folders.split(':').filter(Boolean), values.library))
}
if (values.workers) outcomes.push(...(await openedInThreads()))
const [from, to] = values.copy
if (from !== undefined && to !== undefined) {
  copyFileSync(from, to)
  outcomes.push(await opened(options('cuda')))
}
console.log(JSON.stringify(outcomes))
