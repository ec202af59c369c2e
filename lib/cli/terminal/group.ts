import { VggError } from '../../error.js'
import type { Group } from '../../group/group.js'
import { Interrupted, PrintedElsewhere } from './exit.js'

/**
 * Runs a command's part on this rank of a group, and closes the group. An error that is not shared by all ranks ends it on all.
 * @throws the error of the part; on the ranks that do not print, as the cause of `PrintedElsewhere`
 */
export async function inGroup(group: Group, part: () => Promise<void>): Promise<void> {
  try {
    await part()
    await group.close()
  } catch (error) {
    const isStopped = error instanceof Interrupted
    if (!isStopped) await group.abandon(error)
    await group.close()
    const known = error instanceof VggError || isStopped
    if (group.speaks || !known) throw error
    throw new PrintedElsewhere('', { cause: error })
  }
}
