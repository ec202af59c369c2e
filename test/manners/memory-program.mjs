// node --expose-gc memory-program.mjs FOLDER WORK WARM COUNT: resident megabytes before and after doing a work COUNT times.
import { works } from './work.mjs'

const [folder, name, warm, count] = process.argv.slice(2)
const work = (await works(folder))[name]

async function repeat(times) {
  for (let time = 0; time < times; time++) await work()
}

// Finalizers run when the event loop turns; the least of a few, because V8 gives back its own memory when it pleases.
async function settled() {
  let least = Number.POSITIVE_INFINITY
  for (let time = 0; time < 6; time++) {
    globalThis.gc()
    await new Promise((done) => setTimeout(done, 40))
    least = Math.min(least, process.memoryUsage.rss())
  }
  return least / 2 ** 20
}

await repeat(Number(warm))
const before = await settled()
const start = performance.now()
await repeat(Number(count))
const seconds = (performance.now() - start) / 1000
console.log(JSON.stringify({ before, after: await settled(), peak: process.resourceUsage().maxRSS / 1024, seconds }))
