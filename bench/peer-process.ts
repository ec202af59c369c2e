import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Answer = Readonly<Record<string, unknown>>

interface Running {
  readonly child: ChildProcess
  readonly lines: AsyncIterator<string>
  /** Rejects where there is no such program. */
  readonly failed: Promise<never>
}

export interface PeerCommand {
  readonly program: string
  readonly words: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** What it does while it has nothing to answer: a stopped process cannot disturb others with threads that spin. */
  readonly between: 'waiting' | 'stopped'
  /** What is stopped and ended: it alone, or its process group, where it has processes of its own. Default: alone. */
  readonly signalled?: 'alone' | 'group'
}

// As it was before vggnet is loaded, which sets OMP_WAIT_POLICY: the peers have their own defaults.
const environmentAtStart = { ...process.env }

const running = new Set<PeerProcess>()
process.once('exit', () => {
  for (const peer of running) peer.close()
})

/** A process that answers a line of JSON for each line of JSON. It is started by the first question. */
export class PeerProcess {
  readonly #command: PeerCommand
  #running: Running | undefined

  constructor(command: PeerCommand) {
    this.#command = command
  }

  /** Undefined while there is no process. */
  get pid(): number | undefined {
    return this.#running?.child.pid
  }

  /** @throws PeerError where the peer answers with an error; others where it is late or gone: then the next question starts another */
  async ask(request: object, seconds: number): Promise<Answer> {
    const { child, lines, failed } = this.#start()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer from ${this.#name} in ${seconds.toFixed(0)} s`)),
        1e3 * seconds,
      )
    })
    try {
      if (this.#command.between === 'stopped') this.#signal('SIGCONT')
      child.stdin?.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await Promise.race([lines.next(), late, failed])
      if (done) throw new Error(`${this.#name} ended`)
      if (this.#command.between === 'stopped') this.#signal('SIGSTOP')
      const answer = JSON.parse(value) as Answer
      if (typeof answer.error === 'string') throw new PeerError(answer.error)
      return answer
    } catch (error) {
      if (!(error instanceof PeerError)) this.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    running.delete(this)
    this.#signal('SIGKILL')
    this.#running = undefined
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#running?.child
    if (child?.pid === undefined || child.exitCode !== null) return
    if (this.#command.signalled === 'group') process.kill(-child.pid, signal)
    else child.kill(signal)
  }

  get #name(): string {
    return [this.#command.program, this.#command.words[0]].join(' ')
  }

  #start(): Running {
    if (this.#running) return this.#running
    const { program, words, environment } = this.#command
    const child = spawn(program, words, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...environmentAtStart, ...environment },
      detached: this.#command.signalled === 'group',
    })
    child.stdin.on('error', () => undefined)
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    failed.catch(() => undefined)
    this.#running = { child, failed, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
    running.add(this)
    return this.#running
  }
}

/** The peer said no: its process is still good. */
class PeerError extends Error {}
