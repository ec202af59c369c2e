import path from 'node:path'
import { linkAtomically } from '../files/atomic-file.js'
import { lockFolder } from '../files/folder-lock.js'
import type { TrainReport } from '../train/events.js'
import { createRun } from './create-run.js'
import { exists, type RunFile, runFiles } from './folder.js'
import { type PlanStage, stagesOf } from './plan.js'
import { type RunHooks, runIn } from './run.js'
import { findSources, type Sources } from './sources.js'

/** What a run says as it goes, whether it is one training or a plan of several. */
export interface PlanHooks extends RunHooks {
  /** Before each training of a plan that is not done yet; numbers from 1. */
  onStage?: (stage: PlanStage, number: number, of: number) => void
}

/** The trainings that a run is made of: one, or those of its plan. */
export function trainingsOf(folder: string, { plan, description }: RunFile): PlanStage[] {
  if (plan === undefined) return [{ name: '.', description }]
  return stagesOf(plan, description, (name) => runFiles(path.join(folder, name)).model)
}

/**
 * Runs what is described in a folder to its end: each training that is not done yet, from its newest checkpoint.
 *
 * @param found its images, where they have been looked for already
 * @returns what the last training did; undefined where all was done already
 */
export async function runAll(
  folder: string,
  file: RunFile,
  hooks: PlanHooks,
  found?: Sources,
): Promise<TrainReport | undefined> {
  const lock = await lockFolder(folder)
  try {
    return await runLocked(folder, file, hooks, found)
  } finally {
    await lock.release()
  }
}

async function runLocked(folder: string, file: RunFile, hooks: PlanHooks, found: Sources | undefined) {
  // all trainings of a plan learn from the same images
  let sources = found
  const stages = trainingsOf(folder, file)
  let last: TrainReport | undefined
  for (const [index, stage] of stages.entries()) {
    const own = path.join(folder, stage.name)
    const { description, model } = runFiles(own)
    if (await exists(model)) continue
    hooks.onStage?.(stage, index + 1, stages.length)
    sources ??= await findSources(file.description)
    if (!(await exists(description)))
      await createRun(own, { ...file, plan: undefined, description: stage.description }, sources)
    last = await runIn(own, stage.description, sources, hooks)
  }
  const final = path.join(folder, stages.at(-1)?.name ?? '.')
  // the model of the last training is the plan's
  if (final !== path.normalize(folder)) await linkAtomically(runFiles(final).model, runFiles(folder).model)
  return last
}
