import { vi } from 'vitest'
import { createProgram } from '../../lib/cli/program.js'
import { exitCode, failureText } from '../../lib/cli/terminal/exit.js'

/** What `vggnet` printed, and its exit code. */
export interface Typed {
  readonly status: number
  readonly stdout: string
  /** The line of the error; '' if there is none. */
  readonly error: string
}

/** Runs `vggnet` with these words in this process. */
export async function typed(...words: string[]): Promise<Typed> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  const stdout = () => log.mock.calls.map(([line]) => `${line}\n`).join('')
  try {
    await createProgram().parseAsync(words, { from: 'user' })
    return { status: Number(process.exitCode ?? 0), stdout: stdout(), error: '' }
  } catch (error) {
    return { status: exitCode(error), stdout: stdout(), error: failureText(error) ?? '' }
  } finally {
    process.exitCode = undefined
    log.mockRestore()
  }
}
