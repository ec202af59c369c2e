import { CommanderError } from 'commander'
import pc from 'picocolors'
import { messageOf, VggError } from '../../error.js'
import { printable } from '../../table.js'

/** Exit codes by what stopped a command: 128 + the number of the signal, as in shells. SIGPIPE stands for a closed output. */
const stopCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const

type Stop = keyof typeof stopCodes

/** A command was stopped. `message` says what was saved and how to continue. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(message: string, stop: Stop) {
    super(message)
    this.exitCode = stopCodes[stop]
  }
}

/** EX_TEMPFAIL of sysexits.h: a scheduler may start the job again, and the training continues from its last checkpoint. */
const rankLost = 75

/** An error that another rank of the group prints: its cause. */
export class PrintedElsewhere extends Error {}

/** Exit code: 0 success (help, version), 1 failure, 2 wrong use, 75 a lost rank, 128 + its number for a signal. */
export function exitCode(error: unknown): number {
  if (error instanceof PrintedElsewhere) return exitCode(error.cause)
  if (error instanceof VggError && error.code === 'GROUP_LOST') return rankLost
  if (error instanceof Interrupted) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return error instanceof VggError && error.code === 'INVALID_ARGUMENT' ? 2 : 1
}

function codeOf(error: unknown): string {
  if (error instanceof CommanderError) return 'INVALID_ARGUMENT'
  return error instanceof VggError ? error.code : 'INTERNAL'
}

/** The message of an error in one line with its code; undefined for help and version. */
export function failureText(error: unknown): string | undefined {
  if (error instanceof PrintedElsewhere) return undefined
  if (error instanceof Interrupted) return error.message
  if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)) return undefined
  const colours = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true)
  const line = `${colours.red('vggnet:')} ${codeOf(error)}: ${sentenceOf(error)}`
  if (!/\bvggnet\b/.test(process.env.DEBUG ?? '') || !(error instanceof Error)) return line
  return `${line}\n${error.stack}`
}

function sentenceOf(error: unknown): string {
  const message = messageOf(error)
  if (!(error instanceof CommanderError)) return message
  // commander puts its suggestion on a new line
  const line = printable(message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '))
  // a shell expands a pattern, and divides a name at its spaces
  const cure = 'Put a path with spaces in quotes; instead of several files or folders, give the folder that holds them.'
  return error.code === 'commander.excessArguments' ? `${line} ${cure}` : line
}

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/** Stops the work in progress, if it can be stopped. */
let stopWork: ((stop: Stop) => void) | undefined

/**
 * Ends the process where the standard output or error is closed: quietly for a pipe (`vggnet describe | head`), after work
 * that can be stopped is stopped.
 */
export function outputLost(error: NodeJS.ErrnoException): void {
  if (stopWork !== undefined) stopWork('SIGPIPE')
  else process.exit(process.exitCode ?? (error.code === 'EPIPE' ? 0 : 1))
}

/**
 * Runs work that Ctrl-C, SIGTERM, SIGHUP or a closed output aborts; a second signal ends the process at once.
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
  let reason: Stop = 'SIGINT'
  stopWork = (stop) => {
    // each line that is written into a closed output reports it again
    if (stopping.signal.aborted && stop === 'SIGPIPE') return
    if (stopping.signal.aborted) process.exit(stopCodes[stop])
    reason = stop
    stopping.abort()
    onStop?.()
  }
  for (const signal of signals) process.on(signal, stopWork)
  try {
    return await work(stopping.signal)
  } catch (error) {
    if (!(error instanceof VggError) || error.code !== 'ABORTED') throw error
    throw new Interrupted(`Interrupted; ${typeof words === 'string' ? words : words()}`, reason)
  } finally {
    for (const signal of signals) process.off(signal, stopWork)
    stopWork = undefined
  }
}
