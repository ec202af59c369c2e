import path from 'node:path'
import { bestName, checkpointsIn } from '../checkpoint/checkpoint-folder.js'
import { withFile } from '../checkpoint/open-file.js'
import { trainingText } from '../checkpoint/training-file.js'
import { VggError } from '../error.js'
import { decodeState } from './training-state.js'

/**
 * The digest of the data that a training learnt from, as its checkpoints in a folder record it; see `digestOf`. Reads a
 * header, no weights.
 *
 * @returns undefined where there is no checkpoint that can be read
 */
export async function recordedDigest(folder: string): Promise<string | undefined> {
  const files = (await checkpointsIn(folder)).map((found) => found.path)
  for (const file of [...files, path.join(folder, bestName)]) {
    try {
      return await withFile(file, async (open) => decodeState(trainingText(open), new Map()).conditions.data.digest)
    } catch (error) {
      // another one says it as well
      if (!(error instanceof VggError)) throw error
    }
  }
  return undefined
}
