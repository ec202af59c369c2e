import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { VggError } from '../error.js'
import { filePath } from '../options.js'
import { isTemporary, syncFolder, systemCode, writeError } from './atomic-file.js'
import { NewerFormat } from './open-file.js'
import { checkWhole } from './training-file.js'

/** The name of the checkpoint with the best validation accuracy. */
export const bestName = 'best.safetensors'

const pattern = /^step-(\d{8,})\.safetensors$/

/** The name of the checkpoint after so many steps. */
export const stepName = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`

/** A checkpoint that was found. */
export interface FoundCheckpoint {
  /** Of the file. */
  readonly path: string
  /** Training steps done in it. */
  readonly step: number
  /** Newer ones that are damaged, and why each was passed over. */
  readonly passedOver: readonly { readonly path: string; readonly reason: string }[]
}

/** The checkpoints in a folder by their steps, the newest first. */
export async function checkpointsIn(folder: string): Promise<{ path: string; step: number }[]> {
  const names = await namesIn(folder)
  const found = names.flatMap((name) => {
    const step = pattern.exec(name)?.[1]
    return step === undefined ? [] : [{ path: path.join(folder, name), step: Number(step) }]
  })
  return found.sort((a, b) => b.step - a.step)
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return []
    const message = `Could not read the folder ${folder}: ${(cause as Error).message}`
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

/**
 * The newest checkpoint in a folder that is whole: read to its end and in agreement with its checksum. Undefined where
 * there is none at all.
 * @throws FILE_FORMAT where all of them are damaged, or where one that counts is of a newer format; INVALID_ARGUMENT
 */
export async function newestCheckpoint(folder: string): Promise<FoundCheckpoint | undefined> {
  const passedOver: { path: string; reason: string }[] = []
  for (const found of await checkpointsIn(filePath(folder, 'folder'))) {
    try {
      await checkWhole(found.path)
      return { ...found, passedOver }
    } catch (error) {
      if (error instanceof NewerFormat || !(error instanceof VggError)) throw error
      passedOver.push({ path: found.path, reason: error.message })
    }
  }
  const [first] = passedOver
  if (first === undefined) return undefined
  const message = `Expected a whole checkpoint in ${folder} but all ${passedOver.length} are damaged; ${first.reason}`
  throw new VggError('FILE_FORMAT', message)
}

/** Makes the folder, and removes what writers that were killed have left. The caller holds the folder's lock. */
export async function tidy(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (isTemporary(name)) await rm(path.join(folder, name), { force: true })
  }
}

/** @throws FILE_WRITE */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw writeError(folder, error)
  }
}

/** Removes checkpoints before `step`, so that with that one so many are left. */
export async function removeOld(folder: string, step: number, keep: number): Promise<void> {
  const older = (await checkpointsIn(folder)).filter((found) => found.step < step)
  for (const { path: file } of older.slice(keep - 1)) await rm(file, { force: true })
}

/**
 * Gives other names to checkpoints behind `step`, from where a training goes on: they are of a past that is given up,
 * or damaged.
 */
export async function setAside(folder: string, step: number): Promise<void> {
  const later = (await checkpointsIn(folder)).filter((found) => found.step > step)
  for (const { path: file } of later) await rename(file, `${file}.left`)
  if (later.length > 0) await syncFolder(folder)
}
