import { closeSync, constants, openSync, readSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

/** The per-user folder that all installations and clones share, as scripts/setup/cache.mjs has it. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (env.VGGNET_CACHE) return path.resolve(env.VGGNET_CACHE)
  const { XDG_CACHE_HOME: base } = env
  return path.join(base && path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'vggnet')
}

/** As many bytes as asked for, or all, as text; never waits, as a pipe that nobody writes to would have it. */
export function startOf(file: string, bytes: number): string {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const start = Buffer.alloc(bytes)
    return start.toString('utf8', 0, readSync(opened, start))
  } finally {
    closeSync(opened)
  }
}
