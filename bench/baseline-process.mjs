// Plain JavaScript, because scripts/gpu/first runs it without a TypeScript loader.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * @typedef {Readonly<Record<string, unknown>>} Answer
 * @typedef {object} BaselineCommand
 * @property {string} program
 * @property {readonly string[]} args
 * @property {Readonly<Record<string, string>>} [environment]
 * @property {'waiting' | 'stopped'} between State between two answers. A stopped process cannot disturb the measurement with
 *   threads that spin.
 * @property {'alone' | 'group'} [signalled] What is stopped and ended: the process, or its process group if it has child
 *   processes. Default 'alone'.
 * @typedef {object} Running
 * @property {import('node:child_process').ChildProcess} child
 * @property {AsyncIterator<string>} lines
 * @property {Promise<never>} failed Rejects if the program does not exist.
 * @property {() => Promise<string>} lastError The last line of the standard error, once the process has ended.
 */

// The baselines keep their own defaults: vggnet sets OMP_WAIT_POLICY when it is loaded.
const environmentAtStart = { ...process.env }

/** @type {Set<BaselineProcess>} */
const running = new Set()
process.once('exit', () => {
  for (const baseline of running) baseline.close()
})

/** A process that answers each line of JSON with a line of JSON. The first request starts it. */
export class BaselineProcess {
  /** @type {BaselineCommand} */
  #command
  /** @type {Running | undefined} */
  #running

  /** @param {BaselineCommand} command */
  constructor(command) {
    this.#command = command
  }

  /** Undefined if the process is not running. */
  get pid() {
    return this.#running?.child.pid
  }

  /**
   * @param {object} request
   * @param {number} seconds longest time until the answer
   * @returns {Promise<Answer>}
   * @throws RequestError if the answer is an error; other errors if the process is late or has ended: the next request starts a
   *   new one.
   */
  async ask(request, seconds) {
    const { child, lines, failed, lastError } = this.#start()
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const late = new Promise((_, reject) => {
      const error = new Error(`no answer from ${this.#name} in ${seconds.toFixed(0)} s`)
      timer = setTimeout(() => reject(error), 1e3 * seconds)
    })
    try {
      if (this.#command.between === 'stopped') this.#signal('SIGCONT')
      child.stdin?.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await Promise.race([lines.next(), late, failed])
      if (done) throw new Error(`${this.#name} ended: ${await Promise.race([lastError(), late])}`)
      if (this.#command.between === 'stopped') this.#signal('SIGSTOP')
      const answer = JSON.parse(value)
      if (typeof answer.error === 'string') throw new RequestError(answer.error)
      return answer
    } catch (error) {
      if (!(error instanceof RequestError)) this.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  close() {
    running.delete(this)
    this.#signal('SIGKILL')
    this.#running = undefined
  }

  /** @param {NodeJS.Signals} signal */
  #signal(signal) {
    const child = this.#running?.child
    if (child?.pid === undefined || child.exitCode !== null) return
    if (this.#command.signalled === 'group') process.kill(-child.pid, signal)
    else child.kill(signal)
  }

  get #name() {
    return [this.#command.program, this.#command.args[0]].join(' ')
  }

  #start() {
    if (this.#running) return this.#running
    const { program, args, environment } = this.#command
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environmentAtStart, ...environment },
      detached: this.#command.signalled === 'group',
    })
    child.stdin.on('error', () => undefined)
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (words) => {
      said = (said + words).slice(-4000)
      process.stderr.write(words)
    })
    const closed = new Promise((resolve) => child.once('close', resolve))
    /** @returns {Promise<string>} */
    const lastError = async () => {
      await closed
      return said.trimEnd().split('\n').at(-1) || 'it wrote no error'
    }
    /** @type {Promise<never>} */
    const failed = new Promise((_, reject) => child.once('error', reject))
    failed.catch(() => undefined)
    this.#running = {
      child,
      failed,
      lastError,
      lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    }
    running.add(this)
    return this.#running
  }
}

/** The process has answered with an error, and continues. */
class RequestError extends Error {}
