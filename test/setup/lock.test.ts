import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { holdLock } from '../../lib/platform/wheels/lock.mjs'
import { newFolder } from './folder.js'

/** A process that holds the lock until it is ended. */
async function holder(name: string) {
  const program = `
    import { holdLock } from ${JSON.stringify(path.resolve('lib/platform/wheels/lock.mjs'))}
    await holdLock(${JSON.stringify(name)}, () => new Promise((resolve) => {
      console.log('held')
      process.stdin.on('data', resolve)
    }))
    process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  await once(child.stdout, 'data')
  return child
}

test.each(['SIGKILL', 'its work'])(
  'whoever waits is told for whom, and goes on when %s ends the other',
  async (end) => {
    const name = newFolder()
    const child = await holder(name)
    const owners: number[] = []
    let held = false
    const take = () => {
      held = true
    }
    const waiting = holdLock(name, take, { onWaiting: (owner) => owners.push(owner) })
    await expect.poll(() => owners).toEqual([child.pid])
    expect(held).toBe(false)
    if (end === 'SIGKILL') child.kill('SIGKILL')
    else child.stdin.write('enough')
    await waiting
    expect(held).toBe(true)
  },
)

test('one process at a time, even if the work throws', async () => {
  const name = newFolder()
  let inside = 0
  const work = async () => {
    inside += 1
    expect(inside).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 5))
    inside -= 1
  }
  await Promise.all(Array.from({ length: 10 }, () => holdLock(name, work)))
  await expect(holdLock(name, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await holdLock(name, work)
})

test('a signal ends the waiting', async () => {
  const name = newFolder()
  await holder(name)
  const stopping = new AbortController()
  const waiting = holdLock(name, () => 'held', { signal: stopping.signal, onWaiting: () => stopping.abort() })
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
})
