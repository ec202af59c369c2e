// An unknown binary is loaded in a process of its own before it is in this one: a damaged one ends its process.
import { spawnSync } from 'node:child_process'
import path from 'node:path'

/** What came of it: the binary's build; why it does not load; or nothing, where no process could be started. */
export interface TriedBinary {
  readonly buildId?: string
  readonly reason?: string
}

const program = `
const answer = (what) => process.stdout.write(JSON.stringify(what))
try {
  const { buildInfo } = require(process.argv[1])
  if (typeof buildInfo === 'function') answer({ buildId: buildInfo().buildId })
  else answer({ reason: 'it is no addon of vggnet' })
} catch (error) {
  answer({ reason: String(error && error.message) })
}`

const patience = 60_000

/** Whether `execPath -e` runs a program. In Electron, or an application in one file, it would start the application anew. */
export function isPlainNode(): boolean {
  const { electron, bun, deno } = process.versions
  if (electron || bun || deno || process.getBuiltinModule?.('node:sea')?.isSea()) return false
  return /^node(js)?[\d.]*$/.test(path.basename(process.execPath))
}

/** The last line that a process has said. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? ''

/** Loads a binary in a process of its own, which takes a tenth of a second. */
export function triedApart(binary: string): TriedBinary {
  if (!isPlainNode()) return {}
  // what a debugger or a loader of TypeScript would add has no position there
  const { NODE_OPTIONS: _, ...env } = process.env
  try {
    const { error, signal, status, stdout, stderr } = spawnSync(process.execPath, ['-e', program, binary], {
      env: { ...env, OMP_WAIT_POLICY: 'passive' },
      encoding: 'utf8',
      timeout: patience,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (error && 'code' in error && error.code === 'ETIMEDOUT') {
      return { reason: 'a process that loaded it for a trial did not end in a minute' }
    }
    if (error) return {}
    if (signal) return { reason: `a process that loaded it for a trial was ended by ${signal}` }
    if (stdout === '') return { reason: `a process that loaded it ended with ${status}: ${lastLine(stderr)}` }
    return JSON.parse(stdout) as TriedBinary
  } catch {
    // a Node that may start no processes (--permission)
    return {}
  }
}
