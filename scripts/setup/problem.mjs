import { WheelProblem } from '../../lib/platform/wheels/problem.mjs'

/** The error that stops the set-up: a sentence, and a `code` for programs. */
export class SetupProblem extends Error {
  /**
   * @param {'MISSING_TOOL' | 'DOWNLOAD_FAILED' | 'UNSUPPORTED_PLATFORM' | 'BUILD_FAILED'} code
   * @param {string} message
   * @param {string} [log] output of the failed command, printed before the sentence
   */
  constructor(code, message, log = '') {
    super(message)
    this.name = 'SetupProblem'
    this.code = code
    this.log = log
  }
}

/** Runs `work`. On a SetupProblem or WheelProblem, prints its log and its sentence, and exits with code 1. */
export async function exitOnProblem(work) {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof SetupProblem || error instanceof WheelProblem)) throw error
    if (error.log) process.stderr.write(`${error.log.trimEnd()}\n`)
    process.stderr.write(`setup: ${error.message} [${error.code}]\n`)
    process.exit(1)
  }
}
