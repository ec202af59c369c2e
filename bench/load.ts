// `npx tsx bench/load.ts FILE`: time and processor time to load a file of weights, interleaved with copying it; and the memory
// besides the network.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { Command } from 'commander'
import { median } from '../lib/measure/interleaved.js'
import { whole } from './flags.js'

const program = new Command('npx tsx bench/load.ts')
  .argument('<file>', 'a file of weights')
  .option('--rounds <n>', 'interleaved rounds', whole, 5)
  .parse()
const [file = ''] = program.args
const { rounds } = program.opts<{ rounds: number }>()

/** A process of its own, whose largest resident memory is that of one load. */
const loading = `
import { load } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
import { performance } from 'node:perf_hooks'
const before = process.resourceUsage().maxRSS
const start = performance.now()
const used = process.cpuUsage()
const net = await load(${JSON.stringify(path.resolve(file))}, { device: 'cpu' })
const seconds = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(used)
const bytes = 4 * net.parameters.reduce((sum, { count }) => sum + count, 0)
console.log(JSON.stringify({ seconds, processor: (user + system) / 1e6, bytes, memory: 1024 * (process.resourceUsage().maxRSS - before) }))`

interface Cost {
  readonly seconds: number
  /** Seconds of processor time, of all threads. */
  readonly processor: number
}

interface Loaded extends Cost {
  readonly bytes: number
  readonly memory: number
}

function loaded(): Loaded {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', loading], {
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

function copied(folder: string): Cost {
  const [start, used] = [performance.now(), process.cpuUsage()]
  copyFileSync(file, path.join(folder, 'copy'))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(used)
  rmSync(path.join(folder, 'copy'))
  return { seconds, processor: (user + system) / 1e6 }
}

const folder = mkdtempSync(path.join(path.dirname(path.resolve(file)), '.copy-'))
try {
  // the first of each finds the file in no cache
  copied(folder)
  loaded()
  const pairs = Array.from({ length: rounds }, () => ({ copy: copied(folder), load: loaded() }))
  const { bytes, memory } = pairs[0]?.load ?? loaded()
  const of = (figure: 'seconds' | 'processor', what: 'copy' | 'load'): string =>
    median(pairs.map((pair) => pair[what][figure])).toFixed(2)
  const ratio = median(pairs.map((pair) => pair.load.seconds / pair.copy.seconds))
  console.log(
    `${(statSync(file).size / 1e6).toFixed(0)} MB: load ${of('seconds', 'load')} s, copy ${of('seconds', 'copy')} s, ratio ${ratio.toFixed(2)}`,
  )
  console.log(`processor time: load ${of('processor', 'load')} s, copy ${of('processor', 'copy')} s`)
  console.log(`memory beside the network's parameters: ${((memory - bytes) / bytes).toFixed(2)} times their bytes`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
