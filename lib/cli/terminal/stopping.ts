import { VggError } from '../../error.js'
import { Interrupted } from './failure.js'

const signals = ['SIGINT', 'SIGTERM'] as const

/**
 * Does work that Ctrl-C, or SIGTERM, asks to stop; a second one ends the process at once, with exit code 130.
 * @param work stops with ABORTED some time after its signal was given
 * @param words what is left behind, and how to go on, for people
 * @param onStop when it has been asked to stop
 * @throws Interrupted, and what the work throws but ABORTED
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
