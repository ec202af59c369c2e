import { WheelProblem } from '../../lib/platform/wheels/problem.mjs'

/** What the set-up says when it cannot go on: one sentence, and `code` for programs. */
export class SetupProblem extends Error {
  /**
   * @param {'MISSING_TOOL' | 'DOWNLOAD_FAILED' | 'UNSUPPORTED_PLATFORM' | 'BUILD_FAILED'} code
   * @param {string} message
   * @param {string} [log] output of the command that failed, shown before the sentence
   */
  constructor(code, message, log = '') {
    super(message)
    this.name = 'SetupProblem'
    this.code = code
    this.log = log
  }
}

/** Runs `work`; a SetupProblem or WheelProblem becomes its log, its sentence and exit code 1. */
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
