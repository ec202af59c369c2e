import { printable } from './table.js'

/** Code of an error, which is stable across versions, so that programs can rely on it. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'SHAPE_MISMATCH'
  | 'DISPOSED'
  | 'STATE'
  | 'QUEUE_FULL'
  | 'NOT_FINITE'
  | 'OUT_OF_MEMORY'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE_LOST'
  | 'GROUP_UNAVAILABLE'
  | 'GROUP_MISMATCH'
  | 'GROUP_LOST'
  | 'UNSUPPORTED_PLATFORM'
  | 'NATIVE_LOAD_FAILED'
  | 'FILE_NOT_FOUND'
  | 'FILE_FORMAT'
  | 'FILE_WRITE'
  | 'FOLDER_IN_USE'
  | 'RESUME_MISMATCH'
  | 'MISSING_TOOL'
  | 'DOWNLOAD_FAILED'
  | 'HASH_MISMATCH'
  | 'ABORTED'
  | 'INTERNAL'

/**
 * Class of all errors that vggnet throws, from TypeScript and from native code. `code` is for programs; `message` reports
 * what was expected and what was received.
 *
 * - `INVALID_ARGUMENT`: wrong type or range, unknown or misspelt option, label out of range, detached buffer, batch of 0
 * - `SHAPE_MISMATCH`: incompatible shapes
 * - `DISPOSED`: a tensor or network was used after `dispose`
 * - `STATE`: a call out of order, such as `backward` without `forward(x, { training: true })`
 * - `QUEUE_FULL`: more requests at once than `batching` accepts; try again later
 * - `NOT_FINITE`: a loss, gradient or score is NaN or infinite; the message names the first such layer or the image, and
 *   nothing was changed
 * - `OUT_OF_MEMORY`: the message names the bytes, what is available, and the largest batch that fits or the largest parameter
 * - `DEVICE_UNAVAILABLE`: the requested device cannot be used; the message lists what was tried and how to fix it
 * - `DEVICE_LOST`: the GPU stopped working in this process; all later calls on it fail, and the process must be restarted
 * - `GROUP_UNAVAILABLE`: the processes of an MPI launcher cannot form a group; the message says what was tried
 * - `GROUP_MISMATCH`: ranks of a group have different options, data, builds or parameters; the message names the ranks
 * - `GROUP_LOST`: another rank of the group has ended or does not answer; the message names the rank and its host
 * - `UNSUPPORTED_PLATFORM`: not Linux x64 with glibc 2.34 or later, or not Node 20.17 or later
 * - `NATIVE_LOAD_FAILED`: the binary is missing, damaged, of another build or fails to load; the message lists what was
 *   tried and how to fix it
 * - `FILE_NOT_FOUND`, `FILE_FORMAT`, `FILE_WRITE`: a file is missing, has invalid content, or could not be written
 * - `FOLDER_IN_USE`: another process, named in the message, is writing to the folder
 * - `RESUME_MISMATCH`: a training, or features, cannot be resumed bit for bit; the message lists the differences
 * - `MISSING_TOOL`: a required program (Python, pip) or optional package is missing; the message has the command that installs it
 * - `DOWNLOAD_FAILED`, `HASH_MISMATCH`: weights or NVIDIA's libraries could not be downloaded, or their hash is another one; features
 *   are of another network
 * - `ABORTED`: an `AbortSignal` ended the call
 * - `INTERNAL`: a bug in vggnet
 */
export class VggError extends Error {
  /** Code of the error, for programs. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(printableLines(code, message), options)
    this.name = 'VggError'
    this.code = code
  }
}

/** The codes of messages that list what was tried, on several lines. */
const ofSeveralLines: readonly ErrorCode[] = ['NATIVE_LOAD_FAILED', 'UNSUPPORTED_PLATFORM']

/** A message without control characters, which names of files may have. */
function printableLines(code: ErrorCode, message: string): string {
  const lines = ofSeveralLines.includes(code) ? message.split('\n') : [message]
  return lines.map((line) => printable(line)).join('\n')
}

/** Throws ABORTED if the signal was aborted. @param doing name of the activity, for the message */
export function throwIfAborted(signal: AbortSignal | undefined, doing: string): void {
  if (signal?.aborted) throw new VggError('ABORTED', `${doing} was aborted`, { cause: signal.reason })
}

/** Message of an error; for other values, their text. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Does `work`, and then `end` in any case. An error of `end` is thrown only if `work` had none: the first error wins. */
export async function withEnd<T>(work: () => Promise<T>, end: () => unknown): Promise<T> {
  let result: T
  try {
    result = await work()
  } catch (error) {
    await Promise.resolve()
      .then(end)
      .catch(() => undefined)
    throw error
  }
  await end()
  return result
}
