/** The thread that ends the process if the present case takes too much processor time, of all threads. */
import { workerData } from 'node:worker_threads'

const { begun, mostSeconds } = workerData
setInterval(() => {
  const since = Atomics.load(begun, 0)
  const { user, system } = process.cpuUsage()
  if (since !== -1 && (user + system) / 1e6 - since > mostSeconds) process.kill(process.pid, 'SIGKILL')
}, 500)
