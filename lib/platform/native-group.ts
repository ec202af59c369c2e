/** What the sums of gradients of a group have taken since it was opened. */
export interface GroupTraffic {
  /** Number of sums. */
  sums: number
  /** Bytes of the values that were summed. */
  bytes: number
  /** Seconds in which sums were made, while the network computed or waited. */
  seconds: number
  /** Seconds in which the network waited for sums. */
  waited: number
}

/** The group of ranks of this process; native/group/mpi.hpp. */
export interface NativeGroup {
  /** Opens the first library that can be loaded, and waits for all ranks. Once in a process. */
  openGroup(files: {
    libraries: readonly string[]
    shimOpenmpi: string
    shimMpich: string
  }): Promise<{ rank: number; size: number; hosts: string[]; library: string; version: string }>
  /** Passes a text of each rank to all. */
  gatherGroup(text: string): Promise<string[]>
  /** Replaces values by their sums over all ranks. They must not change until the promise is settled. */
  sumGroup(values: Float32Array): Promise<void>
  /** Calls that wait for other ranks reject with this error, and all later ones. */
  failGroup(error: { code: string; message: string }): void
  groupTraffic(): GroupTraffic
  /** Ends MPI; false where the other ranks do not within these seconds. */
  closeGroup(seconds: number): Promise<boolean>
  /** Ends the process at once, without waiting for its threads. */
  quit(exitCode: number): void
}
