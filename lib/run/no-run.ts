import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { VggError } from '../error.js'
import { exists, notFound } from '../files/not-found.js'

const holdsRun = (folder: string): Promise<boolean> => exists(path.join(folder, 'run.json'))

/** The folder of the run that a file or folder is part of: the run of a checkpoint, of a model, of run.json. */
async function runAbove(given: string): Promise<string | undefined> {
  for (const levels of ['..', '../..']) {
    const folder = path.join(given, levels)
    if (await holdsRun(folder)) return folder
  }
  return undefined
}

/** The runs in a folder of runs, at most four. */
async function runsIn(folder: string): Promise<string[]> {
  const runs: string[] = []
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    if (runs.length < 4 && (await holdsRun(path.join(folder, name)))) runs.push(path.join(folder, name))
  }
  return runs
}

/** The error for a path that is not the folder of a run, with the run that is probably meant. */
export async function noRun(given: string, cause: unknown): Promise<VggError> {
  const found = await stat(given).catch(() => undefined)
  if (found === undefined) return notFound(`There is no folder ${given}`, given, cause)
  const above = await runAbove(given)
  const run = above === undefined ? '' : `; it belongs to the run ${above}`
  if (!found.isDirectory()) {
    const from = given.endsWith('.safetensors') ? `; --from ${given} starts a new run from a model` : ''
    return notFound(`Expected the folder of a run but ${given} is a file${run}${from}`, given, cause)
  }
  const runs = above === undefined ? await runsIn(given) : []
  const others = runs.length > 0 ? `; there are runs in it: ${runs.join(', ')}` : ''
  return notFound(`There is no run in ${given}: it has no run.json${run}${others}`, given, cause)
}
