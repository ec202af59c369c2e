import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

// The lock is an abstract socket: the kernel frees its name when the process ends, in whatever way, so no lock becomes stale.
/** @param {string} name */
const addressOf = (name) => `\0vggnet-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`

/**
 * Takes the lock. A process that connects to it receives this process's id, and is disconnected when the lock is free.
 * @param {string} address
 * @returns {Promise<(() => void) | undefined>} a function that releases the lock, or undefined if another process holds it
 */
async function take(address) {
  /** @type {Set<import('node:net').Socket>} */
  const waiting = new Set()
  const server = createServer((socket) => {
    waiting.add(socket)
    // a waiting process may end before the lock is released
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
 * Waits until the lock may be free.
 * @param {string} address
 * @param {(owner: number) => void} onOwner
 * @param {AbortSignal} [signal]
 */
async function ended(address, onOwner, signal) {
  const socket = connect(address)
  const stop = () => socket.destroy()
  signal?.addEventListener('abort', stop)
  try {
    // an error means that the owner ended before the connection
    socket.on('error', () => undefined).on('data', (text) => onOwner(Number(text)))
    if (!signal?.aborted) await new Promise((resolve) => socket.on('close', resolve))
  } finally {
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
}

/**
 * Runs `work` while no other process on this machine holds the lock of this name.
 * @template T
 * @param {string} name name of the lock, such as a path
 * @param {() => T | Promise<T>} work
 * @param {{ onWaiting?: (owner: number) => void, signal?: AbortSignal }} [options] `onWaiting` is called with the id of
 *   the process that holds the lock; `signal` ends the waiting, not the work
 * @returns {Promise<T>}
 */
export async function holdLock(name, work, { onWaiting = () => undefined, signal } = {}) {
  const address = addressOf(name)
  let release = await take(address)
  for (let owner = 0; release === undefined; release = await take(address)) {
    const report = (/** @type {number} */ found) => {
      if (found !== owner) onWaiting(found)
      owner = found
    }
    await ended(address, report, signal)
    signal?.throwIfAborted()
  }
  try {
    return await work()
  } finally {
    release()
  }
}
