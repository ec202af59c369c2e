// A worker thread that does a work until it is terminated. It says when it does it for the second time.
import { parentPort, workerData } from 'node:worker_threads'
import { works } from './work.mjs'

const work = (await works(workerData.folder))[workerData.work]
for (let time = 0; ; time++) {
  const done = work()
  if (time === 1) parentPort.postMessage('busy')
  await done
}
