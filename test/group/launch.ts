import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fetched } from '../../scripts/setup/wheel.mjs'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { endOf } from '../setup/process.js'

export const mpis = ['openmpi', 'mpich'] as const

export type Mpi = (typeof mpis)[number]

/** How a command ended, and what it printed. */
export interface Launched {
  readonly code: number | null
  readonly out: string
  readonly error: string
  readonly seconds: number
}

/** Longer than any of them takes on a busy machine: one that is still there hangs, and is killed. */
const longest = 240_000

/** Words of each launcher for a machine with fewer cores than ranks, and for root. */
const words: Record<Mpi, readonly string[]> = { openmpi: ['--allow-run-as-root', '--oversubscribe'], mpich: [] }

/** Runs a command on `ranks` processes by the launcher of an MPI of the set-up; `null` is one process without a launcher. */
export async function launch(
  mpi: Mpi | null,
  ranks: number,
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Launched> {
  const launcher =
    mpi === null ? [] : [path.join(await fetched(mpi), 'bin', 'mpirun'), ...words[mpi], '-n', String(ranks)]
  const [file = '', ...rest] = [...launcher, ...command]
  const start = performance.now()
  const child = spawn(file, rest, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: longest,
    killSignal: 'SIGKILL',
  })
  const { code, out, error } = await endOf(child)
  return { code, out, error, seconds: (performance.now() - start) / 1000 }
}

/** The result of a rank of train-program.mjs. */
export interface RankResult {
  readonly rank: number
  readonly size: number
  readonly code?: string
  readonly message?: string
  readonly hash?: string
  readonly checkpoint?: string
  readonly skipped?: number
  readonly top1?: number
  readonly steps: readonly { step: number; loss: number; images: number; correct: number }[]
  readonly weights?: Readonly<Record<string, readonly number[]>>
  readonly traffic?: { sums: number; bytes: number }
}

/** The results that ranks have written into a folder, in their order. */
const resultsIn = (folder: string): RankResult[] =>
  readdirSync(folder)
    .sort()
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as RankResult)

/** Runs train-program.mjs, or another program of this folder, see `launch`. */
export async function train(
  mpi: Mpi | null,
  ranks: number,
  options: object,
  env: NodeJS.ProcessEnv = {},
  program = 'train-program.mjs',
): Promise<Launched & { results: RankResult[] }> {
  const into = newFolder()
  const file = path.join(root, 'test/group', program)
  const launched = await launch(mpi, ranks, [process.execPath, file, JSON.stringify({ ...options, into })], env)
  return { ...launched, results: resultsIn(into) }
}
