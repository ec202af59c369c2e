import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

// A socket without a file: the kernel frees its name when its process ends, however it ends, so that no lock is ever stale.
/** @param {string} name */
const addressOf = (name) => `\0vggnet-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`

/**
 * Takes the lock; a process that connects to it receives this process's number, and is notified when the lock is free.
 * @param {string} address
 * @returns {Promise<(() => void) | undefined>} what gives it back, or nothing where another holds it
 */
async function take(address) {
  /** @type {Set<import('node:net').Socket>} */
  const waiting = new Set()
  const server = createServer((socket) => {
    waiting.add(socket)
    // whoever waits may go before the lock does
    socket.on('error', () => undefined).on('close', () => waiting.delete(socket))
    socket.unref().write(String(process.pid))
  })
  server.listen(address).unref()
  try {
    await once(server, 'listening')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined
    throw error
  }
  return () => {
    server.close()
    for (const socket of waiting) socket.destroy()
  }
}

/**
 * Waits until the lock is, or may be, free.
 * @param {string} address
 * @param {(owner: number) => void} onOwner
 * @param {AbortSignal} [signal]
 */
async function ended(address, onOwner, signal) {
  const socket = connect(address)
  const stop = () => socket.destroy()
  signal?.addEventListener('abort', stop)
  try {
    // an error: its owner has ended between our two looks
    socket.on('error', () => undefined).on('data', (text) => onOwner(Number(text)))
    if (!signal?.aborted) await new Promise((resolve) => socket.on('close', resolve))
  } finally {
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
}

/**
 * Runs `work` while no other process of this machine holds the lock of this name.
 * @template T
 * @param {string} name a path, say
 * @param {() => T | Promise<T>} work
 * @param {{ onWaiting?: (owner: number) => void, signal?: AbortSignal }} [options] `onWaiting` is called with the number of
 *   the process that holds the lock; `signal` ends the waiting, not the work
 * @returns {Promise<T>}
 */
export async function holdLock(name, work, { onWaiting = () => undefined, signal } = {}) {
  const address = addressOf(name)
  let release = await take(address)
  for (let owner = 0; release === undefined; release = await take(address)) {
    const tell = (/** @type {number} */ found) => {
      if (found !== owner) onWaiting(found)
      owner = found
    }
    await ended(address, tell, signal)
    signal?.throwIfAborted()
  }
  try {
    return await work()
  } finally {
    release()
  }
}
