import { cpus } from 'node:os'
import type { Group } from '../../group/group.js'
import { threadsOfRank } from '../../network/open.js'
import { native } from '../../platform/native.js'
import type { Diagnosis } from './diagnoses.js'

/** What a rank says of itself. */
interface RankFacts {
  readonly rank: number
  readonly host: string
  readonly pid: number
  /** Processors that the launcher leaves to this rank. */
  readonly processors: number
  /** Processors of its host. */
  readonly online: number
  /** Threads of a network of the group. */
  readonly threads: number
}

/** The examination of a group, the same on all ranks. */
export interface Distribution {
  /** Path and version of the MPI library; undefined where no launcher started this process. */
  readonly library: string | undefined
  readonly version: string | undefined
  readonly ranks: readonly RankFacts[]
  /** Bandwidth of a sum over all ranks in bytes of the array per second, by its size; empty for one rank. */
  readonly sums: readonly { readonly bytes: number; readonly bytesPerSecond: number }[]
  readonly diagnoses: readonly Diagnosis[]
}

/** Bytes of the arrays that are summed: a small layer, and a bucket of gradients. */
const sizes = [2 ** 16, 2 ** 20, 2 ** 25]
const repetitions = 3

/** Examines a group; all ranks call it. */
export async function examineGroup(group: Group): Promise<Distribution> {
  const own: RankFacts = {
    rank: group.rank,
    host: group.hosts[group.rank] ?? '',
    pid: process.pid,
    processors: native().buildInfo().threads,
    online: cpus().length,
    threads: threadsOfRank(group),
  }
  const ranks = await group.gather(own)
  const sums = []
  for (const bytes of group.size > 1 ? sizes : []) {
    const values = new Float32Array(bytes / 4)
    let least = Number.POSITIVE_INFINITY
    for (let time = 0; time < repetitions; time++) {
      const start = performance.now()
      await group.sum(values)
      least = Math.min(least, (performance.now() - start) / 1000)
    }
    // the slowest rank's, as all of them wait for it
    const seconds = Math.max(...(await group.gather(least)))
    sums.push({ bytes, bytesPerSecond: bytes / seconds })
  }
  const { library, version } = group
  return { library, version, ranks, sums, diagnoses: diagnosesOf(ranks, sums) }
}

function diagnosesOf(ranks: readonly RankFacts[], sums: Distribution['sums']): Diagnosis[] {
  const found: Diagnosis[] = []
  if (ranks.length === 1)
    found.push({
      kind: 'hint',
      text: 'this process is alone: no MPI launcher started it',
      cure: 'mpirun -n 2 node_modules/.bin/vggnet doctor --distributed',
    })
  const poor = ranks.filter(({ processors, online }) => processors === 1 && online > ranks.length)
  if (poor.length > 0)
    found.push({
      kind: 'hint',
      text: `the launcher leaves one of ${poor[0]?.online} processors to ${poor.length} of ${ranks.length} ranks`,
      cure: 'Open MPI: --bind-to none, or --map-by slot:PE=N',
    })
  const crowded = ranks.filter(({ host, threads, online }) => {
    const onHost = ranks.filter((other) => other.host === host)
    return onHost.length * threads > online
  })
  if (crowded.length > 0)
    found.push({
      kind: 'hint',
      text: `host ${crowded[0]?.host} has more ranks than processors: they wait for each other`,
      cure: 'at most as many ranks on a host as it has cores',
    })
  if (ranks.length > 1) {
    const hosts = new Set(ranks.map(({ host }) => host)).size
    const rate = ((sums.at(-1)?.bytesPerSecond ?? 0) / 1e9).toFixed(2)
    found.push({
      kind: 'works',
      text: `${ranks.length} ranks on ${hosts} ${hosts === 1 ? 'host' : 'hosts'} sum gradients at ${rate} GB/s`,
      cure: '',
    })
  }
  return found
}
