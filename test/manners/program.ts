import { spawn } from 'node:child_process'
import path from 'node:path'
import { root } from '../setup/command.js'
import { endOf } from '../setup/process.js'

export type { Ended } from '../setup/process.js'

/** Longer than any of them takes on a busy machine: one that is still there hangs, and is killed. */
const longest = 300_000

/** A program of this folder as a process; it uses the package as its users do, from dist/. */
export function startProgram(
  name: string,
  words: readonly (string | number)[],
  { flags = [], env = {}, limit = longest }: { flags?: string[]; env?: NodeJS.ProcessEnv; limit?: number } = {},
) {
  const program = path.join(root, 'test/manners', name)
  const child = spawn(process.execPath, [...flags, program, ...words.map(String)], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limit,
    killSignal: 'SIGKILL',
  })
  return { child, ended: endOf(child) }
}
