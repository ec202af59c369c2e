import { existsSync, fstatSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { VggError } from '../error.js'

/** The implementations of MPI, which differ in their binary interface. */
export type MpiKind = 'openmpi' | 'mpich'

/** How an MPI launcher started this process. */
export interface Launch {
  readonly kind: MpiKind
  readonly size: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** Variables with the number of ranks, by the launchers that set them. Slurm sets those of the PMI that it serves. */
const sizes = {
  openmpi: ['OMPI_COMM_WORLD_SIZE'],
  mpich: ['PMI_SIZE', 'MPI_LOCALNRANKS'],
} as const

/** How this process was started; undefined if no MPI launcher started it. */
export function launchOf(env: Environment): Launch | undefined {
  for (const kind of ['openmpi', 'mpich'] as const) {
    const size = sizes[kind].map((name) => Number(env[name])).find((value) => Number.isInteger(value) && value > 0)
    if (size !== undefined) return { kind, size }
  }
  // srun --mpi=pmix, which Open MPI speaks
  const tasks = Number(env.SLURM_NTASKS)
  return env.PMIX_RANK !== undefined && tasks > 0 ? { kind: 'openmpi', size: tasks } : undefined
}

/**
 * Refuses a process that lost the descriptor through which MPICH's launcher talks to it.
 * @throws GROUP_UNAVAILABLE
 */
export function checkInherited({ PMI_FD: descriptor }: Environment): void {
  if (descriptor === undefined) return
  try {
    if (fstatSync(Number(descriptor)).isSocket()) return
  } catch {
    // EBADF
  }
  const message = `Expected the connection of MPICH's launcher at descriptor ${descriptor} (PMI_FD) but it is closed: npm, npx and tsx close it`
  throw new VggError(
    'GROUP_UNAVAILABLE',
    `${message}; start the program itself: mpirun -n 4 node_modules/.bin/vggnet ..., or mpirun -n 4 node --import tsx train.ts`,
  )
}

/** File names of the libraries, of Debian's MPICH too. */
const libraryNames: Record<MpiKind, readonly string[]> = {
  openmpi: ['libmpi.so.40'],
  mpich: ['libmpi.so.12', 'libmpich.so.12'],
}

const libraryFolders = ['../lib', '../lib64', '../lib/release', '../lib/x86_64-linux-gnu']

/** Ancestors of this process that are looked at. */
const mostAncestors = 6

/** The folders of the programs of this process's ancestors, the parent's first: the launcher, or its agent on this host, is one. */
function programFolders(): string[] {
  const folders: string[] = []
  try {
    for (let id = process.ppid; id > 1 && folders.length < mostAncestors; ) {
      folders.push(path.dirname(readlinkSync(`/proc/${id}/exe`)))
      // the name in parentheses may hold spaces
      const [, parent] = /.*\) \S (\d+)/.exec(readFileSync(`/proc/${id}/stat`, 'utf8')) ?? []
      id = Number(parent)
    }
  } catch {
    // the process of another user
  }
  return folders
}

/**
 * The libraries to try, in order: VGGNET_MPI, beside the launcher, of a module system's variables, of the system. The library
 * must be the one that the launcher belongs to.
 */
export function librariesFor(kind: MpiKind, env: Environment): string[] {
  if (env.VGGNET_MPI) return [env.VGGNET_MPI]
  const names = libraryNames[kind]
  const prefixes = [env.OPAL_PREFIX, env.MPI_HOME, env.I_MPI_ROOT].filter((prefix) => prefix !== undefined)
  const folders = [...programFolders(), ...prefixes.map((prefix) => path.join(prefix, 'bin'))]
  const files = folders.flatMap((folder) =>
    libraryFolders.flatMap((beside) => names.map((name) => path.join(folder, beside, name))),
  )
  return [...new Set([...files.filter((file) => existsSync(file)), ...names])]
}
