import { readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { messageOf, VggError } from '../error.js'
import { isTemporary, syncFolder, systemCode, writeError } from '../files/atomic-file.js'
import { filePath } from '../options.js'
import { NewerFormat } from './open-file.js'
import { checkWhole } from './training-file.js'

/** File name of the checkpoint with the best validation accuracy. */
export const bestName = 'best.safetensors'

const pattern = /^step-(\d{8,})\.safetensors$/

/** File name of the checkpoint after `step` steps. */
export const stepName = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`

/** A checkpoint in a folder. */
export interface FoundCheckpoint {
  /** Path of the file. */
  readonly path: string
  /** Number of training steps before it was written. */
  readonly step: number
  /** Newer checkpoints that were skipped because they cannot be used, each with the reason. */
  readonly passedOver: readonly {
    /** Path of the file. */
    readonly path: string
    /** Why it cannot be used. */
    readonly reason: string
  }[]
}

/** The checkpoints in a folder, the newest first. */
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

/** Whether an error is caused by the file: errors of the system are, errors of the device are not. */
function isOfFile(error: unknown): boolean {
  if (error instanceof NewerFormat) return false
  return !(error instanceof VggError) || error.code === 'FILE_FORMAT' || error.code === 'FILE_NOT_FOUND'
}

/** Message of an error without the path before it. */
function reasonOf(error: unknown, file: string): string {
  const [message, path] = [messageOf(error), `${file}: `]
  return message.startsWith(path) ? message.slice(path.length) : message
}

/** Result of `firstUsable`. */
export interface Usable<F, T> {
  /** Undefined if no file can be used. */
  readonly found: { readonly file: F; readonly value: T } | undefined
  /** The files before it, which cannot be used. */
  readonly passedOver: FoundCheckpoint['passedOver']
}

/**
 * Calls `use` with one file after another until it succeeds. Files that are damaged, absent, a folder or unreadable are
 * skipped.
 * @throws other errors of `use`, and FILE_FORMAT for a file of a newer format
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
 * Finds the newest checkpoint in a folder with which `use` succeeds.
 * @returns undefined if the folder contains no checkpoint
 * @throws FILE_FORMAT if no checkpoint can be used, or the newest is of a newer format; errors of `use` that the file does
 *   not cause
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
 * Finds the newest complete checkpoint in a folder. Each file is read to its end and compared with its checksums; those
 * that cannot be used are skipped. To resume a training, `loadNewestTraining` reads the file only once.
 * @returns undefined if the folder contains no checkpoint
 * @throws FILE_FORMAT if no checkpoint can be used, or the newest is of a newer format; INVALID_ARGUMENT
 */
export async function newestCheckpoint(folder: string): Promise<FoundCheckpoint | undefined> {
  const newest = await newestUsable(filePath(folder, 'folder'), checkWhole)
  return newest && { path: newest.path, step: newest.step, passedOver: newest.passedOver }
}

/** Runs `change` on a file of a folder. @throws FILE_WRITE */
async function changed(file: string, change: () => Promise<void>): Promise<void> {
  try {
    await change()
  } catch (error) {
    throw writeError(file, error)
  }
}

/**
 * Removes temporary files of killed writers. The caller holds the folder's lock.
 * @param files names of the files that only the holder of the lock writes; default all
 * @throws FILE_WRITE
 */
export async function tidy(folder: string, files = ['']): Promise<void> {
  for (const name of await namesIn(folder)) {
    const file = path.join(folder, name)
    if (isTemporary(name) && files.some((own) => name.startsWith(`.${own}`)))
      await changed(file, () => rm(file, { force: true }))
  }
}

/** Removes the oldest checkpoints before `step`, so that `keep` remain, including that of `step`. Folders are not removed. @throws FILE_WRITE */
export async function removeOld(folder: string, step: number, keep: number): Promise<void> {
  const older = (await checkpointsIn(folder)).filter((found) => found.step < step)
  for (const { path: file } of older.slice(keep - 1)) {
    await rm(file, { force: true }).catch((error) => {
      if (systemCode(error) !== 'ERR_FS_EISDIR') throw writeError(file, error)
    })
  }
}

/**
 * Renames checkpoints after `step`, from which a training continues: they belong to an abandoned history, or are
 * damaged.
 * @throws FILE_WRITE
 */
export async function setAside(folder: string, step: number): Promise<void> {
  const later = (await checkpointsIn(folder)).filter((found) => found.step > step)
  for (const { path: file } of later) await changed(file, () => rename(file, `${file}.left`))
  if (later.length > 0) await changed(folder, () => syncFolder(folder))
}
