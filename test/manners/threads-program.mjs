// node --expose-gc threads-program.mjs FOLDER LOADS TERMINATIONS WORK...: worker threads that load the package, eight at
// once, and others that are terminated in the midst of each work. Says how much memory that took.
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const [folder, loads, terminations, ...names] = process.argv.slice(2)
const open = (file, workerData) => new Worker(new URL(file, import.meta.url), { workerData, execArgv: [] })

async function answer() {
  const worker = open('computing-worker.mjs')
  // both at once: a message that is read at the exit comes in one tick with it
  const [[said]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  return said
}

async function terminatedIn(work, time) {
  const worker = open('worker.mjs', { folder, work })
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
  failed.catch(() => undefined)
  // now and then while it loads
  if (time % 5 === 4) await pause(Math.random() * 300)
  else await Promise.race([once(worker, 'message'), failed])
  await pause(Math.random() * 20)
  await worker.terminate()
}

async function megabytes() {
  globalThis.gc()
  await pause(100)
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}

const answers = new Set()
for (let time = 0; time < loads; time++)
  for (const said of await Promise.all(Array.from({ length: 8 }, answer))) answers.add(said)
const memory = []
for (const work of names) {
  for (let time = 0; time < terminations; time++) {
    await terminatedIn(work, time)
    if (time === Math.floor(terminations / 4)) memory.push({ work, before: await megabytes() })
  }
  memory.at(-1).after = await megabytes()
  answers.add(await answer())
}
// this thread has not loaded it so far
const { computed } = await import('./work.mjs')
answers.add(await computed())
console.log(JSON.stringify({ answers: [...answers], memory }))
