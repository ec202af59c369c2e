import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { isTemporary, syncFolder, systemCode, writeError } from '../files/atomic-file.js'
import { filePath } from '../options.js'
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
  /** Newer ones that could not be used, and why. */
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

/** Whether a file is to blame for an error: whatever the system says of it counts, an error of the device does not. */
function isOfFile(error: unknown): boolean {
  if (error instanceof NewerFormat) return false
  return !(error instanceof VggError) || error.code === 'FILE_FORMAT' || error.code === 'FILE_NOT_FOUND'
}

/** What an error says of a file, without the path in front. */
function reasonOf(error: unknown, file: string): string {
  const [message, path] = [messageOf(error), `${file}: `]
  return message.startsWith(path) ? message.slice(path.length) : message
}

/** The first of some files that can be used. */
export interface Usable<F, T> {
  /** Undefined where none can be used. */
  readonly found: { readonly file: F; readonly value: T } | undefined
  /** Those before it. */
  readonly passedOver: FoundCheckpoint['passedOver']
}

/**
 * Tries files in their order until `use` succeeds with one. An error that the file is to blame for leads to the next one:
 * it is damaged, absent, a folder, or cannot be read.
 * @throws what `use` throws otherwise, and for a file of a newer format, which is whole
 */
export async function firstUsable<F extends { readonly path: string }, T>(
  files: readonly F[],
  use: (path: string) => Promise<T>,
): Promise<Usable<F, T>> {
  const passedOver: { path: string; reason: string }[] = []
  for (const file of files) {
    try {
      return { found: { file, value: await use(file.path) }, passedOver }
    } catch (error) {
      if (!isOfFile(error)) throw error
      passedOver.push({ path: file.path, reason: reasonOf(error, file.path) })
    }
  }
  return { found: undefined, passedOver }
}

/**
 * The newest checkpoint in a folder with which `use` succeeds; undefined where there is none at all.
 * @throws FILE_FORMAT where none can be used, or where one that counts is of a newer format; what `use` throws where the
 *   file is not to blame
 */
export async function newestUsable<T>(
  folder: string,
  use: (path: string) => Promise<T>,
): Promise<(FoundCheckpoint & { readonly value: T }) | undefined> {
  const { found, passedOver } = await firstUsable(await checkpointsIn(folder), use)
  if (found !== undefined) return { ...found.file, value: found.value, passedOver }
  const [first] = passedOver
  if (first === undefined) return undefined
  const message = `Expected a checkpoint that can be used in ${folder}, but of ${passedOver.length} none can: ${first.path}: ${first.reason}`
  throw new VggError('FILE_FORMAT', message)
}

/**
 * The newest checkpoint in a folder that is whole: read to its end and in agreement with its checksums. Undefined where
 * there is none at all. One that cannot be used, for whatever reason, is passed over for the one before.
 * @throws FILE_FORMAT where none can be used, or where one that counts is of a newer format; INVALID_ARGUMENT
 */
export async function newestCheckpoint(folder: string): Promise<FoundCheckpoint | undefined> {
  const newest = await newestUsable(filePath(folder, 'folder'), checkWhole)
  return newest && { path: newest.path, step: newest.step, passedOver: newest.passedOver }
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

/** Removes the oldest checkpoints before `step`, so that `keep` are left, that one included. A folder of such a name stays. */
export async function removeOld(folder: string, step: number, keep: number): Promise<void> {
  const older = (await checkpointsIn(folder)).filter((found) => found.step < step)
  for (const { path: file } of older.slice(keep - 1)) {
    await rm(file, { force: true }).catch((error) => {
      if (systemCode(error) !== 'ERR_FS_EISDIR') throw error
    })
  }
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
