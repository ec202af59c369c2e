// A worker thread that loads the package, computes, and says what came of it.
import { parentPort } from 'node:worker_threads'
import { computed } from './work.mjs'

parentPort.postMessage(await computed())
