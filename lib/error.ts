/** What kind of thing went wrong; stable, so that a program can decide by it. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'SHAPE_MISMATCH'
  | 'DISPOSED'
  | 'STATE'
  | 'NOT_FINITE'
  | 'OUT_OF_MEMORY'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE_LOST'
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
 * The one class of error that vggnet throws, from TypeScript and from native code alike.
 * `code` is for programs, `message` says what was expected and what came.
 *
 * - `INVALID_ARGUMENT`: wrong type or range, unknown or misspelt option, label out of range, detached buffer, batch of 0
 * - `SHAPE_MISMATCH`: shapes that do not fit together
 * - `DISPOSED`: a tensor or network used after `dispose`
 * - `STATE`: a call out of order, such as `backward` without `forward(x, { training: true })`
 * - `NOT_FINITE`: a loss, gradient or score is NaN or infinite; the message names the first bad layer or the image, nothing
 *   was changed
 * - `OUT_OF_MEMORY`: names the bytes, and the largest batch that fits
 * - `DEVICE_UNAVAILABLE`: the device asked for is not there; what was tried, and the cure
 * - `DEVICE_LOST`: the card stopped working in this process; every later call on it fails at once: start the process again
 * - `UNSUPPORTED_PLATFORM`: not Linux on x64 with glibc 2.34 or later, or not Node 20.17 or later; found, required, cure
 * - `NATIVE_LOAD_FAILED`: the binary is missing, damaged, of another build or does not load; what was tried, and the cure
 * - `FILE_NOT_FOUND`, `FILE_FORMAT`, `FILE_WRITE`: a file is missing, is not what it should be, could not be written
 * - `FOLDER_IN_USE`: another process, named in the message, writes there
 * - `RESUME_MISMATCH`: a training cannot go on bit for bit, because of the differences that the message names
 * - `MISSING_TOOL`: a program that is needed (Python, pip) is not there; the command that installs it
 * - `DOWNLOAD_FAILED`, `HASH_MISMATCH`: NVIDIA's libraries could not be fetched, or are others than were asked for
 * - `ABORTED`: an `AbortSignal` ended the call
 * - `INTERNAL`: a fault of vggnet itself
 */
export class VggError extends Error {
  /** What kind of thing went wrong, for programs. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'VggError'
    this.code = code
  }
}

/** Throws ABORTED where the signal was given; `doing` is what it ended. */
export function throwIfAborted(signal: AbortSignal | undefined, doing: string): void {
  if (signal?.aborted) throw new VggError('ABORTED', `${doing} was aborted`, { cause: signal.reason })
}

/** What an error says; of what is no Error, its text. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
