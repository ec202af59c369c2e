import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, messageOf, VggError } from '../error.js'
import { instanceOf, integer, readOptions, withDefault } from '../options.js'
import { type GroupTraffic, installation, native } from '../platform/native.js'
import { packageVersion } from '../platform/package.js'
import { parsedJson } from '../untrusted.js'
import { Heartbeat } from './heartbeat.js'
import { checkInherited, launchOf, librariesFor } from './launcher.js'

/** Options of `openGroup`. */
export interface GroupOptions {
  /**
   * Seconds of silence after which a rank counts as lost, at least 5; 0 does not watch the ranks. Default 20, or the variable
   * VGGNET_GROUP_TIMEOUT.
   */
  timeout?: number | undefined
}

const least = 5
const timeout = withDefault((value: unknown, name: string) => {
  const seconds = integer(0, 3600)(value, name)
  if (seconds === 0 || seconds >= least) return seconds
  throw new VggError('INVALID_ARGUMENT', `Expected 0 or at least ${least} seconds for ${name} but received ${seconds}`)
}, 20)

/** Most that a message of a rank may hold; the native side refuses more. */
const messageLimits = { bytes: 2 ** 24, depth: 64, values: 2 ** 20, keys: 2 ** 18 }

/** Milliseconds by which the rank that prints ends before the others. */
const yielding = 2000

/** Seconds in which the other ranks must end MPI too, at the end of a process. */
const closing = 20

/** What `open` of the native side gives; a process that no launcher started is alone. */
interface Ranks {
  readonly rank: number
  readonly size: number
  readonly hosts: readonly string[]
  /** Path of the MPI library; undefined for a process that is alone. */
  readonly library?: string
  /** Version of the MPI library; undefined for a process that is alone. */
  readonly version?: string
}

/**
 * The processes ("ranks") that an MPI launcher started together. Networks created with `group` compute each step together.
 * All ranks must make the same calls, in the same order.
 */
export class Group implements AsyncDisposable {
  /** Number of this process, from 0. */
  readonly rank: number
  /** Number of processes; 1 if no launcher started this one. */
  readonly size: number
  /** Name of the host of each rank. */
  readonly hosts: readonly string[]
  /** Path of the MPI library; undefined in a group of one. */
  readonly library: string | undefined
  /** Version of the MPI library; undefined in a group of one. */
  readonly version: string | undefined
  #heartbeat: Heartbeat | undefined
  /** The last exchange, which the next one follows: their order is the same on all ranks. */
  #last: Promise<unknown> = Promise.resolve()
  #failure: VggError | undefined
  /** The rank that is lost. */
  #lost: number | undefined
  #closed: Promise<void> | undefined

  /** @internal Use `openGroup`. */
  constructor({ rank, size, hosts, library, version }: Ranks) {
    this.rank = rank
    this.size = size
    this.hosts = hosts
    this.library = library
    // 'MPICH Version:      5.0.2'
    this.version = version?.replace(/ Version:\s*/, ' ')
  }

  /** @internal Starts to watch the other ranks. */
  async watch(seconds: number): Promise<void> {
    if (this.size === 1 || seconds === 0) return
    this.#heartbeat = await Heartbeat.open({
      rank: this.rank,
      hosts: this.hosts,
      timeout: 1000 * seconds,
      gather: (value) => this.gather(value),
      onFailure: (error, lost) => {
        this.#lost = lost
        this.#fail(error)
      },
    })
  }

  /** Whether this rank prints for all of them: rank 0, or rank 1 where rank 0 is lost. */
  get speaks(): boolean {
    return this.rank === (this.#lost === 0 ? 1 : 0)
  }

  /** Number of ranks on the host of this one. */
  get localSize(): number {
    return this.hosts.filter((host) => host === this.hosts[this.rank]).length
  }

  /** The error that ended the group; undefined while all ranks are there. */
  get failure(): VggError | undefined {
    return this.#failure
  }

  /** The name of a rank: `rank 1 on node-b`. */
  nameOf(rank: number): string {
    return `rank ${rank} on ${this.hosts[rank]}`
  }

  /** What the sums of gradients have taken since the group was opened; all 0 in a group of one. */
  get traffic(): GroupTraffic {
    return this.size === 1 ? { sums: 0, bytes: 0, seconds: 0, waited: 0 } : native().groupTraffic()
  }

  /**
   * Passes a value of each rank to all ranks, in the order of the ranks.
   * @param value plain data, at most 16 MB as JSON; undefined becomes undefined
   * @throws GROUP_LOST, or the error of another rank, if the group has failed
   */
  async gather<T>(value: T): Promise<T[]> {
    if (this.size === 1) return [value]
    const text = JSON.stringify({ value })
    const gathered = this.#last.then(() => native().gatherGroup(text))
    this.#last = gathered.catch(() => undefined)
    return (await gathered).map((one) => (parsedJson(one, messageLimits) as { value: T }).value)
  }

  /**
   * Replaces each value by its sum over all ranks, added in the order of the ranks: the same bits on all of them.
   * @param values of the same length on all ranks; not to be changed meanwhile
   */
  async sum(values: Float32Array): Promise<void> {
    if (this.size === 1) return
    const own = instanceOf(Float32Array)(values, 'values')
    const summed = this.#last.then(() => native().sumGroup(own))
    this.#last = summed.catch(() => undefined)
    await summed
  }

  /**
   * Passes a value of rank 0 to all ranks. If making it fails, all ranks reject with its error.
   * @param make called on rank 0 only
   */
  async share<T>(make: () => T | Promise<T>): Promise<T> {
    if (this.size === 1) return make()
    if (this.rank > 0) {
      const [first] = await this.gather<Shared<T> | undefined>(undefined)
      return valueIn(first as Shared<T>)
    }
    let error: unknown
    const made = await Promise.resolve()
      .then(make)
      .then(
        (value): Shared<T> => ({ value }),
        (cause): Shared<T> => {
          error = cause
          return failureOf(cause)
        },
      )
    await this.gather<Shared<T> | undefined>(made)
    if (error !== undefined) throw error
    return valueIn(made)
  }

  /**
   * Ends the group because of an error of this rank, which all other ranks then throw too. A process that ends without it is
   * lost to the others, with a less helpful error.
   */
  async abandon(error: unknown): Promise<void> {
    if (this.size === 1 || this.#failure !== undefined) return
    const known = error instanceof VggError ? error : new VggError('INTERNAL', messageOf(error))
    this.#fail(known)
    await this.#heartbeat?.announce(known)
  }

  #fail(error: VggError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    native().failGroup({ code: error.code, message: error.message })
    this.#quitAtExit()
  }

  /** Ends MPI in this process, which waits until all ranks do so. Networks of the group can compute no further steps. */
  async close(): Promise<void> {
    if (this.size === 1) return
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#last
    this.#heartbeat?.close()
    if (this.#failure === undefined && (await native().closeGroup(closing))) return
    this.#quitAtExit()
    // a launcher kills the others at once where one process fails: the one that reports it ends first
    if (!this.speaks) await setTimeout(yielding)
  }

  /** A thread that waits in MPI for a rank that is lost ends with the process only, which must not wait for it. */
  #quitAtExit(): void {
    process.once('exit', (code) => native().quit(code))
  }

  /** Calls `close`: `await using group = await openGroup()` closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A value of rank 0, or its error. */
type Shared<T> = { readonly value: T } | { readonly code: ErrorCode; readonly message: string }

const failureOf = (error: unknown): { code: ErrorCode; message: string } => ({
  code: error instanceof VggError ? error.code : 'INTERNAL',
  message: messageOf(error),
})

function valueIn<T>(shared: Shared<T>): T {
  if ('value' in shared) return shared.value
  throw new VggError(shared.code, `rank 0: ${shared.message}`)
}

/**
 * Opens the group of this process, once: the ranks that `mpirun`, `srun` or Kubeflow's MPI policy started together, with Open MPI
 * or MPICH. Without a launcher the group has one rank, and everything works as without a group.
 * @throws GROUP_UNAVAILABLE if the MPI library cannot be used, with what was tried; GROUP_MISMATCH if the ranks run different
 *   builds; STATE the second time
 */
export async function openGroup(options: GroupOptions = {}): Promise<Group> {
  const { VGGNET_GROUP_TIMEOUT: fromEnvironment } = process.env
  const asked = fromEnvironment === undefined ? {} : { timeout: Number(fromEnvironment) }
  const { timeout: seconds } = readOptions({ ...asked, ...options }, 'openGroup options', { timeout })
  const launch = launchOf(process.env)
  if (launch === undefined || launch.size === 1) return new Group({ rank: 0, size: 1, hosts: ['localhost'] })
  checkInherited(process.env)
  // UCX rewrites the code of functions of libc while other threads run in it: one start in ten ended with a segmentation fault
  process.env.UCX_MEM_EVENTS ??= 'n'
  const { binary } = installation()
  const shim = (name: string): string => path.join(path.dirname(binary), `libvggnet_mpi_${name}.so`)
  const ranks = await native().openGroup({
    libraries: librariesFor(launch.kind, process.env),
    shimOpenmpi: shim('openmpi'),
    shimMpich: shim('mpich'),
  })
  if (ranks.size !== launch.size) throw otherLibrary(ranks, launch.size)
  const group = new Group(ranks)
  // a launcher takes a process that ends without ending MPI for a failure
  process.once('beforeExit', () => void group.close())
  await group.watch(seconds)
  await checkBuilds(group)
  return group
}

/** Each process of a foreign launcher is alone in its MPI. */
function otherLibrary({ size, library, version }: Ranks, launched: number): VggError {
  const message = `Expected the MPI library of the launcher, which started ${launched} ranks, but ${library} (${version}) sees ${size}`
  return new VggError('GROUP_UNAVAILABLE', `${message}: set VGGNET_MPI to the path of the launcher's libmpi.so`)
}

async function checkBuilds(group: Group): Promise<void> {
  const builds = await group.gather(`vggnet ${packageVersion()}, build ${native().buildInfo().buildId}`)
  const other = builds.findIndex((build) => build !== builds[0])
  if (other === -1) return
  const message = `Expected the same build of vggnet on all ranks but ${group.nameOf(other)} has ${builds[other]}, and ${group.nameOf(0)} ${builds[0]}`
  throw new VggError('GROUP_MISMATCH', message)
}
