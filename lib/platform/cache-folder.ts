import { closeSync, constants, openSync, readSync } from 'node:fs'

export { cacheFolder } from './wheels/cache.mjs'

/** As many bytes as asked for, or all, as text; never waits, as a pipe that nobody writes to would have it. */
export function firstBytes(file: string, bytes: number): string {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const start = Buffer.alloc(bytes)
    return start.toString('utf8', 0, readSync(opened, start))
  } finally {
    closeSync(opened)
  }
}
