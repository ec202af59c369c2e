// Opens devices in a process of its own, one after another or at once, and prints what came of each as JSON.
import { parseArgs } from 'node:util'
import { VggError } from '../../../lib/error.js'
import { native } from '../../../lib/native.js'
import { describe } from '../../../lib/network/describe.js'
import { Network } from '../../../lib/network/network.js'
import type { RunOptions } from '../../../lib/network/open.js'

const layers = [
  { kind: 'input', channels: 1, mean: [0], scale: [1] },
  { kind: 'convolution', name: 'conv', outputs: 1, kernel: 1 },
] as const

/** Device and reason, or code and message. */
export type Outcome = [string, string]

async function outcomeOf(open: () => Outcome | Promise<Outcome>): Promise<Outcome> {
  try {
    return await open()
  } catch (error) {
    return error instanceof VggError ? [error.code, error.message] : ['not a VggError', String(error)]
  }
}

const opened = (options: RunOptions): Promise<Outcome> =>
  outcomeOf(async () => {
    const net = await Network.create({ layers, ...options })
    net.dispose()
    return [net.device, net.deviceReason ?? '']
  })

/** As `opened`, where the search of lib/cuda-places.ts is not to find what this machine has. */
const openedIn = (folders: string[], library: string): Promise<Outcome> =>
  outcomeOf(async () => {
    native().setCudaPlaces({ library, noLibrary: 'no library', folders, filesCure: 'the cure' })
    const device = { device: 'cuda', threads: 0, precision: undefined, deterministic: false }
    const net = await native().Network.create({ layers, ...device, seed: 0, exact: false, memoryLimit: 0 })
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
    folders: { type: 'string' },
    library: { type: 'string', default: '' },
  },
})
const options = (device: string): RunOptions =>
  ({ device, ...(values.precision && { precision: values.precision }) }) as RunOptions
const outcomes: Outcome[] = []
if (values.together) outcomes.push(...(await Promise.all(values.open.map((device) => opened(options(device))))))
else for (const device of values.open) outcomes.push(await opened(options(device)))
for (const device of values.plan) outcomes.push(await planned(device as 'cuda'))
if (values.folders !== undefined) {
  outcomes.push(await openedIn(values.folders.split(':').filter(Boolean), values.library))
}
console.log(JSON.stringify(outcomes))
