// Reads bombs one after another, and prints for each: its name before; what was read, or the code of the error; the seconds;
// and the peak of resident memory above what was resident before, in megabytes.
// argv: [{ name, call, given }] as JSON
import { readFileSync, writeFileSync } from 'node:fs'
import {
  describe,
  idxDataset,
  layersOf,
  load,
  readCifar,
  readFolder,
  readImage,
  readList,
  readRunLog,
} from '../../dist/index.js'

const size = { height: 64, width: 64, channels: 3 }
const calls = {
  images: async ({ files, options }) => {
    const all = await Promise.allSettled(files.map((file) => readImage(file, size, options)))
    // after the last: what still ran would count for the next bomb
    for (const { reason } of all) if (reason !== undefined) throw reason
  },
  idx: idxDataset,
  cifar: readCifar,
  list: readList,
  folder: readFolder,
  model: load,
  log: readRunLog,
  plan: async ({ model, ...options }) => describe({ layers: layersOf(model), ...options }),
}

const megabytes = (field) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024

for (const { name, call, given } of JSON.parse(process.argv[2])) {
  console.log(JSON.stringify({ name }))
  globalThis.gc()
  writeFileSync('/proc/self/clear_refs', '5') // the peak begins here
  const before = megabytes('VmRSS')
  const started = performance.now()
  const result = await calls[call](given).then(
    () => 'read',
    (error) => (error.name === 'VggError' ? error.code : `${error.stack}`),
  )
  const seconds = (performance.now() - started) / 1000
  console.log(JSON.stringify({ name, result, seconds, peak: megabytes('VmHWM') - before }))
}
