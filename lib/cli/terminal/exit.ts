import { CommanderError } from 'commander'
import pc from 'picocolors'
import { messageOf, VggError } from '../../error.js'

/** The user stopped the command. `message` says what was saved and how to continue. */
export class Interrupted extends Error {}

/** Exit code: 0 success (help, version), 1 failure, 2 wrong use, 130 interrupted (128 + SIGINT, as in shells). */
export function exitCode(error: unknown): number {
  if (error instanceof Interrupted) return 130
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return error instanceof VggError && error.code === 'INVALID_ARGUMENT' ? 2 : 1
}

function codeOf(error: unknown): string {
  if (error instanceof CommanderError) return 'INVALID_ARGUMENT'
  return error instanceof VggError ? error.code : 'INTERNAL'
}

/** The message of an error in one line with its code; undefined for help and version. */
export function failureText(error: unknown): string | undefined {
  if (error instanceof Interrupted) return error.message
  if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)) return undefined
  const colours = pc.createColors(pc.isColorSupported && process.stderr.isTTY)
  const line = `${colours.red('vggnet:')} ${codeOf(error)}: ${sentenceOf(error)}`
  if (!/\bvggnet\b/.test(process.env.DEBUG ?? '') || !(error instanceof Error)) return line
  return `${line}\n${error.stack}`
}

function sentenceOf(error: unknown): string {
  const message = messageOf(error)
  // commander puts its suggestion on a new line
  return error instanceof CommanderError ? message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ') : message
}

const signals = ['SIGINT', 'SIGTERM'] as const

/**
 * Runs work that Ctrl-C or SIGTERM aborts; a second signal ends the process at once with exit code 130.
 * @param work rejects with ABORTED after its signal aborts
 * @param words message for the user: what was saved, and how to continue
 * @param onStop called when the work is aborted
 * @throws Interrupted, and every error of the work except ABORTED
 */
export async function stoppable<T>(
  work: (signal: AbortSignal) => Promise<T>,
  words: string | (() => string),
  onStop?: () => void,
): Promise<T> {
  const stopping = new AbortController()
  const stop = (): void => {
    if (stopping.signal.aborted) process.exit(130)
    stopping.abort()
    onStop?.()
  }
  for (const signal of signals) process.on(signal, stop)
  try {
    return await work(stopping.signal)
  } catch (error) {
    if (!(error instanceof VggError) || error.code !== 'ABORTED') throw error
    throw new Interrupted(`Interrupted; ${typeof words === 'string' ? words : words()}`)
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}
