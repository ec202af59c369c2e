// A worker thread that opens device 'cuda' when it is told to, and says what came of it.
import { once } from 'node:events'
import { parentPort } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

// Node 20 does not take `--import tsx` over into worker threads
register()
const { opened } = await import('./opened.ts')

parentPort.postMessage('ready')
await once(parentPort, 'message')
parentPort.postMessage(await opened({ device: 'cuda' }))
