import { fileURLToPath } from 'node:url'
import type { Mode } from '../lib/measure/case.js'
import type { Contender } from '../lib/measure/interleaved.js'
import type { Case, Layout, Way } from './cases.js'
import { type Answer, PeerProcess } from './peer-process.js'
import type { Ceilings, Stored } from './roofline.js'

/** How PyTorch runs a case. */
export interface TorchRun {
  readonly way: Way
  readonly layout: Layout
  readonly precision: Stored
}

/** A contender that is ready for its rounds. */
export interface Prepared extends Contender {
  /** From the question to the end of the runs that warm it up. */
  readonly readySeconds: number
}

const words = (device: 'cuda' | 'cpu') => [fileURLToPath(new URL('peer_torch.py', import.meta.url)), device]

/** PyTorch in a process of its own: peer_torch.py, which answers one line for each line. */
export class Torch {
  readonly #process: PeerProcess
  readonly #secondsOfRound: (milliseconds: number) => number

  private constructor(process: PeerProcess, secondsOfRound: (milliseconds: number) => number) {
    this.#process = process
    this.#secondsOfRound = secondsOfRound
  }

  static onCard(python: string): Torch {
    const process = new PeerProcess({ program: python, words: words('cuda'), between: 'waiting' })
    return new Torch(process, (milliseconds) => 30 + milliseconds / 100)
  }

  /** With huge pages; 0 threads are as many as PyTorch takes. */
  static onProcessor(python: string, threads: number): Torch {
    const environment = { THP_MEM_ALLOC_ENABLE: '1', ...(threads > 0 && { OMP_NUM_THREADS: String(threads) }) }
    const process = new PeerProcess({ program: python, words: words('cpu'), environment, between: 'stopped' })
    // one run of a large batch on one thread of a busy machine
    return new Torch(process, () => 900)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  async versions(seconds: number): Promise<Answer> {
    return this.#process.ask({ do: 'versions' }, seconds)
  }

  async ceilings(precision: Stored, seconds: number): Promise<Ceilings> {
    return (await this.#process.ask({ do: 'ceilings', precision }, seconds)) as unknown as Ceilings
  }

  /** Its network and graphs are there until the next one is prepared. */
  async prepare(one: Case & { mode: Mode }, run: TorchRun, seconds: number): Promise<Prepared> {
    const { ready } = await this.#process.ask({ do: 'prepare', ...run, ...one }, seconds)
    return {
      name: run.way,
      readySeconds: Number(ready),
      round: async (milliseconds) => {
        const seconds = this.#secondsOfRound(milliseconds)
        return Number((await this.#process.ask({ do: 'round', milliseconds }, seconds)).milliseconds)
      },
    }
  }

  close(): void {
    this.#process.close()
  }
}
