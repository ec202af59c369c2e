import { randomUUID } from 'node:crypto'
import { link, open, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { VggError, withEnd } from '../error.js'
import { isObject } from '../options.js'
import { systemCode, writeError } from './atomic-file.js'
import { isFolder } from './not-found.js'

/** A folder that only this process writes to. */
export interface FolderLock {
  readonly folder: string
  /** Checks that this process still has the lock. @throws FOLDER_IN_USE if another process took it over, assuming that this one is dead; FILE_WRITE if the folder or the lock was removed */
  check(): Promise<void>
  /** Removes the lock. Never rejects: a lock that cannot be removed is a process warning. */
  release(): Promise<void>
}

interface Owner {
  readonly host: string
  /** Id of the boot of the machine. No owner survives a restart. */
  readonly boot: string
  readonly pid: number
  /** Start time of the process in clock ticks since the boot, because process ids are reused. */
  readonly started: string
  /** Id of this lock. */
  readonly token: string
}

const fileName = '.lock'
const guardName = '.lock.takeover'
/** Age at which a takeover is considered dead. A takeover takes milliseconds. */
const takeoverSeconds = 10

/**
 * Locks a folder for this process, because two trainings in one folder would overwrite each other's files. A lock of a dead process
 * is taken over. A process on another machine is assumed to be alive.
 * @throws FOLDER_IN_USE, FILE_WRITE
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = path.join(folder, fileName)
  const own = await thisProcess()
  try {
    while (!(await create(file, own))) {
      const owner = await ownerOf(file)
      if (owner === undefined) continue
      if (await isAlive(owner)) throw inUse(folder, owner)
      await removeDead(file, owner)
    }
    await clear(folder)
  } catch (error) {
    throw error instanceof VggError ? error : writeError(file, error)
  }
  const lock = { folder, file, token: own.token }
  return { folder, check: () => checkLock(lock), release: () => releaseLock(lock) }
}

interface OwnLock {
  readonly folder: string
  readonly file: string
  readonly token: string
}

async function checkLock({ folder, file, token }: OwnLock): Promise<void> {
  const owner = await ownerOf(file).catch((error) => {
    throw writeError(file, error)
  })
  if (owner?.token === token) return
  if (owner !== undefined) throw inUse(folder, owner)
  throw new VggError('FILE_WRITE', `Could not write in ${folder}: ${(await isFolder(folder)) ? unlocked : removed}`)
}

const removed =
  'the folder was removed while this process wrote there; make sure that nothing removes it, and start again'
const unlocked = `its file ${fileName} was removed while this process wrote there; make sure that no other process writes there, and continue from the last checkpoint`

/** Never throws: a lock that stays is a smaller problem than the error that may have ended the work, which it would hide. */
async function releaseLock({ file, token }: OwnLock): Promise<void> {
  try {
    if ((await ownerOf(file))?.token === token) await unlink(file)
  } catch (error) {
    const { message } = writeError(file, error)
    process.emitWarning(`${message}; the folder stays locked until it is removed`, 'VggFileWarning')
  }
}

/** Removes files of processes that were killed while they took the lock. The caller holds the lock. */
async function clear(folder: string): Promise<void> {
  // another process in its takeover finds that the lock has a living owner
  await rm(path.join(folder, guardName), { force: true })
  for (const name of await readdir(folder)) {
    const pid = /^\.lock\.(\d+)-[0-9a-f-]{36}$/.exec(name)?.[1]
    if (pid === undefined || (await processStart(Number(pid))) !== '') continue
    const owner = await ownerOf(path.join(folder, name))
    if (owner?.host === hostname()) await rm(path.join(folder, name), { force: true })
  }
}

function inUse(folder: string, owner: Owner | undefined): VggError {
  const who = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host}`
  const cure = `wait until it ends, or remove ${path.join(folder, fileName)} if it no longer runs`
  return new VggError('FOLDER_IN_USE', `Expected ${folder} to be free, but ${who} writes there; ${cure}`)
}

/** Creates the lock file atomically: a link fails if the name exists. */
async function create(file: string, owner: Owner): Promise<boolean> {
  const temporary = `${file}.${process.pid}-${randomUUID()}`
  const write = async (): Promise<void> => {
    await writeFile(temporary, JSON.stringify(owner), { flag: 'wx' })
    await link(temporary, file)
  }
  try {
    await withEnd(write, () => rm(temporary, { force: true }))
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    // ENOTDIR: the folder was replaced by a file
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(systemCode(error) ?? '')) return undefined
    throw error
  }
}

/** Returns the owner of a lock, or undefined if there is no lock. An unreadable lock has a dead owner. */
async function ownerOf(file: string): Promise<Owner | undefined> {
  const text = await textOf(file)
  if (text === undefined) return undefined
  const nobody = { host: hostname(), boot: '', pid: 0, started: '', token: text }
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && typeof value.pid === 'number' ? (value as unknown as Owner) : nobody
  } catch {
    return nobody
  }
}

async function thisProcess(): Promise<Owner> {
  const { pid } = process
  return { host: hostname(), boot: await boot(), pid, started: await processStart(pid), token: randomUUID() }
}

const boot = async (): Promise<string> => ((await textOf('/proc/sys/kernel/random/boot_id')) ?? '').trim()

/** Returns field 22 of /proc/PID/stat, or '' if there is no such process. Field 2 may contain spaces and brackets. */
async function processStart(pid: number): Promise<string> {
  const text = await textOf(`/proc/${pid}/stat`)
  const [state, ...rest] = text === undefined ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ')
  // a zombie has ended, and its parent has not read its status yet
  return state === undefined || state === 'Z' || state === 'X' ? '' : (rest[18] ?? '')
}

async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true
  return owner.boot === (await boot()) && owner.started !== '' && owner.started === (await processStart(owner.pid))
}

/** Removes the lock of a dead process. Only one process may do so at a time: a second could remove the new lock of the first. */
async function removeDead(file: string, dead: Owner): Promise<void> {
  const guard = path.join(path.dirname(file), guardName)
  try {
    await (await open(guard, 'wx')).close()
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    const age = await stat(guard).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > takeoverSeconds * 1000) await rm(guard, { force: true })
    else await pause(20)
    return
  }
  const remove = async (): Promise<void> => {
    if ((await ownerOf(file))?.token === dead.token) await rm(file, { force: true })
  }
  await withEnd(remove, () => rm(guard, { force: true }))
}
