import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lockFolder } from '../../lib/files/folder-lock.js'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

const moduleUrl = pathToFileURL(path.join(root, 'dist/files/folder-lock.js')).href

/** Locks a folder in another process or thread, prints 'locked' or the error, and keeps the lock. */
const program = (folder: string, printed = 'console.log'): string => `
  const { lockFolder } = await import(${JSON.stringify(moduleUrl)})
  const { setTimeout: pause } = await import('node:timers/promises')
  ;${printed}(await lockFolder(${JSON.stringify(folder)}).then(() => 'locked', (error) => error.code + ' ' + error.message))
  await pause(600_000)`

/** Starts such a process. @param before words that start it, such as of unshare @returns it, and what it printed */
async function locker(folder: string, before: readonly string[] = []) {
  const words = [...before, process.execPath, '--input-type=module', '-e', program(folder)]
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [text] = await once(child.stdout, 'data')
  return { child, printed: String(text).trim() }
}

async function end(child: Awaited<ReturnType<typeof locker>>['child'], signal: NodeJS.Signals): Promise<void> {
  child.kill(signal)
  await once(child, 'close')
}

async function isFree(folder: string): Promise<boolean> {
  const lock = await lockFolder(folder).catch(() => undefined)
  await lock?.release()
  return lock !== undefined
}

const inUse = (folder: string, who: string) => ({
  code: 'FOLDER_IN_USE',
  message: `Expected ${folder} to be free, but ${who} writes there; wait until it ends, or choose another folder`,
})

describe('the lock of a folder', () => {
  test('excludes other processes, names its holder, and is free when that is killed: one of many takes it', async () => {
    const folder = newFolder()
    const { child, printed } = await locker(folder)
    expect(printed).toBe('locked')
    await expect(lockFolder(folder)).rejects.toMatchObject(inUse(folder, `process ${child.pid} on ${hostname()}`))
    await end(child, 'SIGKILL')
    expect(readdirSync(folder)).toEqual(['.lock'])
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)))
    const taken = tries.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []))
    expect(taken).toHaveLength(1)
    for (const attempt of tries) {
      if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'FOLDER_IN_USE' })
    }
    await taken[0]?.check()
    await taken[0]?.release()
    expect(readdirSync(folder)).toEqual([])
  })

  test('excludes other threads and copies of the module, and ends with the thread', async () => {
    const folder = newFolder()
    const worker = new Worker(program(folder, "(await import('node:worker_threads')).parentPort.postMessage"), {
      eval: true,
    })
    onTestFinished(async () => void (await worker.terminate()))
    expect(await once(worker, 'message')).toEqual(['locked'])
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_IN_USE' })
    await worker.terminate()
    const lock = await lockFolder(folder)
    const copy = await import(`${moduleUrl}?copy`)
    await expect(copy.lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_IN_USE' })
    await lock.release()
    await (await copy.lockFolder(folder)).release()
  })

  const isolated = ['unshare', '-rpf', '--kill-child', '--mount-proc']
  test.skipIf(spawnSync('unshare', [...isolated.slice(1), 'true']).status !== 0)(
    'excludes a container of the same host name, where both are process 1, and is free when that is killed',
    async () => {
      const folder = newFolder()
      const { child, printed } = await locker(folder, isolated)
      expect(printed).toBe('locked')
      expect((await locker(folder, isolated)).printed).toMatch(/^FOLDER_IN_USE .* process 1 on /)
      await expect(lockFolder(folder)).rejects.toMatchObject(inUse(folder, `process 1 on ${hostname()}`))
      await end(child, 'SIGKILL')
      await expect.poll(() => isFree(folder)).toBe(true)
    },
  )

  test('is not inherited by a program that the holder starts', async () => {
    const folder = newFolder()
    const lock = await lockFolder(folder)
    const child = spawn('sleep', ['600'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'spawn')
    await lock.release()
    expect(await isFree(folder)).toBe(true)
  })

  test('is not held up by what earlier versions or others left', async () => {
    const folder = newFolder()
    const file = path.join(folder, '.lock')
    const old = JSON.stringify({ host: 'elsewhere', boot: '', pid: process.pid, started: '1', token: 'x' })
    for (const text of [old, 'no JSON', '', '{"pid":"1","host":1}']) {
      writeFileSync(file, text)
      const lock = await lockFolder(folder)
      await expect(lockFolder(folder)).rejects.toMatchObject(inUse(folder, `process ${process.pid} on ${hostname()}`))
      writeFileSync(file, text)
      await lock.check()
      await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_IN_USE' })
      await lock.release()
      expect(readdirSync(folder)).toEqual([])
    }
  })

  test('is that of one file: another in its place, or none, is noticed by its holder', async () => {
    const folder = newFolder()
    const file = path.join(folder, '.lock')
    const lock = await lockFolder(folder)
    rmSync(file)
    await expect(lock.check()).rejects.toMatchObject({ code: 'FILE_WRITE', message: expect.stringMatching(/removed/) })
    const other = await lockFolder(folder)
    await expect(lock.check()).rejects.toMatchObject(inUse(folder, 'another process'))
    await lock.release()
    await other.check()
    renameSync(folder, `${folder}.moved`)
    onTestFinished(() => rmSync(`${folder}.moved`, { recursive: true }))
    mkdirSync(folder)
    await expect(other.check()).rejects.toMatchObject({ code: 'FILE_WRITE' })
    rmSync(folder, { recursive: true })
    writeFileSync(folder, '')
    await expect(other.check()).rejects.toMatchObject({
      code: 'FILE_WRITE',
      message: expect.stringMatching(/^Could not write in .*: the folder was removed while this process wrote there/),
    })
    await other.release()
  })

  test('follows no link, waits for no pipe, and takes no folder', async () => {
    const folder = newFolder()
    const [file, mine] = [path.join(folder, '.lock'), path.join(folder, 'mine')]
    writeFileSync(mine, 'mine')
    const kinds: Record<string, () => unknown> = {
      link: () => symlinkSync('mine', file),
      pipe: () => spawnSync('mkfifo', [file]),
      folder: () => mkdirSync(file),
    }
    for (const [kind, make] of Object.entries(kinds)) {
      make()
      await expect(lockFolder(folder), kind).rejects.toMatchObject({ code: 'FILE_WRITE' })
      rmSync(file, { recursive: true })
    }
    expect(readFileSync(mine, 'utf8')).toBe('mine')
  })

  test('is refused, with the cure, by a file system without locks', async () => {
    const folder = newFolder()
    const [source, library] = [path.join(folder, 'none.cpp'), path.join(folder, 'none.so')]
    writeFileSync(source, '#include <cerrno>\nextern "C" int flock(int, int) { errno = ENOLCK; return -1; }\n')
    expect(spawnSync('g++', ['-shared', '-fPIC', '-o', library, source]).status).toBe(0)
    expect((await locker(folder, ['env', `LD_PRELOAD=${library}`])).printed).toBe(
      `FILE_WRITE Could not lock ${folder}: its file system refuses locks (ENOLCK); mount it with locks (NFS: version 4, or with lockd; Lustre: -o flock), or choose a folder on another one`,
    )
  })
})
