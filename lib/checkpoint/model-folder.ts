import path from 'node:path'
import { VggError } from '../error.js'
import { exists, isFolder } from '../files/not-found.js'
import { printable } from '../table.js'
import { bestName, checkpointsIn, firstUsable } from './checkpoint-folder.js'

/** Names in the folder of a run: the final model, and the folder of checkpoints. */
export const runNames = { model: 'model.safetensors', checkpoints: 'checkpoints' } as const

/** Emits a process warning about a file, which the command line prints on stderr. */
export const warn = (message: string): void => process.emitWarning(printable(message), 'VggFileWarning')

/**
 * The models in the folder of a run or of checkpoints: first the best on the validation data, then the final one, then the
 * checkpoints, the newest first.
 */
export async function modelsIn(folder: string): Promise<{ path: string }[]> {
  const checkpoints = path.join(folder, runNames.checkpoints)
  const named = [path.join(checkpoints, bestName), path.join(folder, runNames.model), path.join(folder, bestName)]
  // using a file that cannot be reached says why
  const isThere = (file: string): Promise<boolean> => exists(file).catch(() => true)
  const found = await Promise.all(named.map(async (file) => ((await isThere(file)) ? [{ path: file }] : [])))
  return [...found.flat(), ...(await checkpointsIn(checkpoints)), ...(await checkpointsIn(folder))]
}

/**
 * Uses the first model of {@link modelsIn} that can be used; undefined if there is none. Those before it are skipped with a
 * warning of the process.
 * @throws errors of `use` for a file of a newer format, and those that no file causes
 */
export async function useBest<T>(folder: string, use: (file: string) => Promise<T>) {
  const { found, passedOver } = await firstUsable(await modelsIn(folder), use)
  for (const { path: file, reason } of passedOver) warn(`skipped ${file}: ${reason}`)
  return found
}

/** Uses the model of a file, or the best one in the folder of a run or of checkpoints. @throws FILE_NOT_FOUND, errors of `use` */
export async function useModel<T>(given: string, use: (file: string) => Promise<T>): Promise<T> {
  if (!(await isFolder(given))) return use(given)
  const found = await useBest(given, use)
  if (found !== undefined) return found.value
  const message = `Expected a model, or the folder of a run or of checkpoints, but ${given} has no model that can be used`
  throw new VggError('FILE_NOT_FOUND', message)
}
