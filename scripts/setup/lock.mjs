import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function tryToLock(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}

function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return 0
  }
}

/** Runs `work` while no other process of this machine holds `file`: two set-ups of one clone take turns. */
export async function holdLock(file, work) {
  let waiting = false
  while (!tryToLock(file)) {
    const owner = ownerOf(file)
    if (owner > 0 && !isAlive(owner)) rmSync(file, { force: true })
    else {
      if (!waiting) process.stderr.write(`setup: waiting for another set-up of this clone (process ${owner})\n`)
      waiting = true
      await setTimeout(200)
    }
  }
  const unlock = () => rmSync(file, { force: true })
  const interrupted = (signal) => {
    unlock()
    process.kill(process.pid, signal)
  }
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    return await work()
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
    unlock()
  }
}
