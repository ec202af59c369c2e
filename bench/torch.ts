import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Case, Way } from './cases.js'
import type { Ceilings, Stored } from './roofline.js'
import type { Contender } from './turns.js'

type Answer = Record<string, unknown>

/** PyTorch in a process of its own: peer_card.py, which answers one line for each line. */
export class Torch {
  readonly #python: string
  #child: ChildProcess | undefined
  #lines: AsyncIterator<string> | undefined

  constructor(python: string) {
    this.#python = python
  }

  async versions(seconds: number): Promise<Answer> {
    return this.#ask({ do: 'versions' }, seconds)
  }

  async ceilings(precision: Stored, seconds: number): Promise<Ceilings> {
    return (await this.#ask({ do: 'ceilings', precision }, seconds)) as unknown as Ceilings
  }

  /** Its network and graphs are there until the next one is prepared. */
  async prepare(
    one: Case,
    way: Way,
    precision: Stored,
    seconds: number,
  ): Promise<Contender & { readySeconds: number }> {
    const { ready } = await this.#ask({ do: 'prepare', way, precision, ...one }, seconds)
    return {
      name: way,
      readySeconds: Number(ready),
      round: async (milliseconds) =>
        Number((await this.#ask({ do: 'round', milliseconds }, 30 + milliseconds / 100)).milliseconds),
    }
  }

  close(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  #start(): { child: ChildProcess; lines: AsyncIterator<string> } {
    if (this.#child && this.#lines) return { child: this.#child, lines: this.#lines }
    const script = fileURLToPath(new URL('peer_card.py', import.meta.url))
    const child = spawn(this.#python, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdin, stdout } = child
    if (!stdin || !stdout) throw new Error(`${this.#python} could not be started`)
    child.on('error', () => stdout.destroy())
    stdin.on('error', () => undefined)
    const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    ;[this.#child, this.#lines] = [child, lines]
    return { child, lines }
  }

  // A process that is late or gone is ended; the next question starts another.
  async #ask(request: object, seconds: number): Promise<Answer> {
    const { child, lines } = this.#start()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer from PyTorch in ${seconds.toFixed(0)} s`)), seconds * 1000)
    })
    try {
      child.stdin?.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await Promise.race([lines.next(), late])
      if (done) throw new Error(`${this.#python} bench/peer_card.py ended: is PyTorch there?`)
      const answer = JSON.parse(value) as Answer
      if (typeof answer.error === 'string') throw new TorchError(answer.error)
      return answer
    } catch (error) {
      if (!(error instanceof TorchError)) this.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

/** PyTorch said no: its process is still good. */
class TorchError extends Error {}
