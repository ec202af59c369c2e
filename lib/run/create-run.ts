import { mkdir } from 'node:fs/promises'
import { VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { checkNew, type RunFile, runFiles } from './folder.js'
import { findSources, type Sources } from './sources.js'
import { withStartModel } from './start-model.js'

/**
 * Makes the folder of a new run, and writes what it is made of as run.json. Where it goes on from a model (`start.from`),
 * the network that is trained is filled in.
 *
 * @param found its images, where they have been looked for already
 * @returns what was written
 * @throws INVALID_ARGUMENT where there is a run in the folder already, or the description asks for another network than
 *   the model is that it goes on from; FILE_WRITE; what finding the data and reading that model throw
 */
export async function createRun(folder: string, file: RunFile, found?: Sources): Promise<RunFile> {
  const { description: target } = runFiles(folder)
  await checkNew(folder)
  const { description } = file
  const sources = description.start.from === undefined ? undefined : (found ?? (await findSources(description)))
  const written = sources ? { ...file, description: await withStartModel(description, sources) } : file
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new VggError('FILE_WRITE', `Could not make the folder ${folder}: ${(cause as Error).message}`, { cause })
  }
  await writeAtomically(target, [new TextEncoder().encode(`${JSON.stringify(written, null, 2)}\n`)])
  return written
}
