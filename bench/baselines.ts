// The baselines, each in its own process: PyTorch (baseline_torch.py) and onnxruntime-node (baseline-onnx.mjs).
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Contender, interleaved } from '../lib/measure/interleaved.js'
import { baselineFiles } from '../scripts/setup/peers.mjs'
import { type BaselineName, type Case, exportedCase, type Layout, layouts, sameCase, waysOf } from './cases.js'
import type { Stored } from './roofline.js'

export type Answer = Readonly<Record<string, unknown>>

export interface BaselineCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** State between two answers. A stopped process cannot disturb the measurement with threads that spin. */
  readonly between: 'waiting' | 'stopped'
  /** What is stopped and ended: the process, or its process group if it has child processes. Default 'alone'. */
  readonly signalled?: 'alone' | 'group'
}

interface Running {
  readonly child: ChildProcess
  readonly lines: AsyncIterator<string>
  /** Rejects if the program does not exist. */
  readonly failed: Promise<never>
}

// The baselines keep their own defaults: vggnet sets OMP_WAIT_POLICY when it is loaded.
const environmentAtStart = { ...process.env }

const running = new Set<BaselineProcess>()
process.once('exit', () => {
  for (const baseline of running) baseline.close()
})

/** A process that answers each line of JSON with a line of JSON. The first request starts it. */
export class BaselineProcess {
  readonly #command: BaselineCommand
  #running: Running | undefined

  constructor(command: BaselineCommand) {
    this.#command = command
  }

  /** Undefined if the process is not running. */
  get pid(): number | undefined {
    return this.#running?.child.pid
  }

  /** @throws RequestError if the answer is an error; other errors if the process is late or has ended: the next request starts a new one. */
  async ask(request: object, seconds: number): Promise<Answer> {
    const { child, lines, failed } = this.#start()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`no answer from ${this.#name} in ${seconds.toFixed(0)} s`)
      timer = setTimeout(() => reject(error), 1e3 * seconds)
    })
    try {
      if (this.#command.between === 'stopped') this.#signal('SIGCONT')
      child.stdin?.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await Promise.race([lines.next(), late, failed])
      if (done) throw new Error(`${this.#name} ended`)
      if (this.#command.between === 'stopped') this.#signal('SIGSTOP')
      const answer = JSON.parse(value) as Answer
      if (typeof answer.error === 'string') throw new RequestError(answer.error)
      return answer
    } catch (error) {
      if (!(error instanceof RequestError)) this.close()
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
    return [this.#command.program, this.#command.args[0]].join(' ')
  }

  #start(): Running {
    if (this.#running) return this.#running
    const { program, args, environment } = this.#command
    const child = spawn(program, args, {
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

/** The process has answered with an error, and continues. */
class RequestError extends Error {}

/** The path of a program in this folder. */
export const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

export const torchOnGpu = (python: string): BaselineProcess =>
  new BaselineProcess({ program: python, args: [script('baseline_torch.py'), 'cuda'], between: 'waiting' })

/** PyTorch on the CPU with huge pages. 0 threads stands for PyTorch's default. */
export function torchOnCpu(python: string, threads: number): BaselineProcess {
  const environment = { THP_MEM_ALLOC_ENABLE: '1', ...(threads > 0 && { OMP_NUM_THREADS: String(threads) }) }
  const args = [script('baseline_torch.py'), 'cpu']
  return new BaselineProcess({ program: python, args, environment, between: 'stopped' })
}

/** A baseline that is ready for its rounds. */
export interface PreparedBaseline extends Contender {
  readonly pid: number
  readonly layout?: Layout
  /** Seconds from the request to the end of the runs that warm it up. */
  readonly readySeconds: number
  close(): void
}

export interface Baseline {
  readonly name: BaselineName
  prepare(seconds: number): Promise<PreparedBaseline>
}

/** Prepares a case. @param roundSeconds Time limit for a round of the given milliseconds. */
async function prepare(
  server: BaselineProcess,
  request: object,
  { seconds, roundSeconds }: { seconds: number; roundSeconds: (milliseconds: number) => number },
): Promise<PreparedBaseline> {
  const { ready } = await server.ask({ do: 'prepare', ...request }, seconds)
  const round = async (milliseconds: number) =>
    Number((await server.ask({ do: 'round', milliseconds }, roundSeconds(milliseconds))).milliseconds)
  return { pid: server.pid as number, readySeconds: Number(ready), round, close: () => server.close() }
}

/** PyTorch in each of its ways. All run in one process, so that only one network is in the GPU's memory. */
export function gpuBaselines(torch: BaselineProcess, benchCase: Case, precision: Stored): Baseline[] {
  return waysOf(benchCase).map((way) => {
    const request = { way, layout: 'channels_last', precision, ...benchCase }
    const roundSeconds = (milliseconds: number) => 30 + milliseconds / 100
    return {
      name: `PyTorch ${way}`,
      prepare: async (seconds) => ({
        ...(await prepare(torch, request, { seconds, roundSeconds })),
        close: () => undefined,
      }),
    }
  })
}

// Each network gets its own process, so that the peak memory is that network's.
async function prepareOnCpu(server: BaselineProcess, request: object, seconds: number) {
  try {
    // a run of a large batch on one thread of a busy machine takes minutes
    return await prepare(server, request, { seconds, roundSeconds: () => 900 })
  } catch (error) {
    server.close()
    throw error
  }
}

const roundsOfLayout = 2

/** PyTorch in the memory layout that is faster in two short rounds. */
export function torchBaseline(
  python: string,
  threads: number,
  benchCase: Omit<Case, 'mode'> & { mode: Case['mode'] | 'image-gradient' },
  name: BaselineName,
): Baseline {
  const open = async (layout: Layout, seconds: number): Promise<PreparedBaseline> => {
    const precision = name === 'PyTorch bf16' ? 'bf16' : 'float32'
    const request = { way: 'eager', layout, precision, ...benchCase }
    return { ...(await prepareOnCpu(torchOnCpu(python, threads), request, seconds)), layout }
  }
  const timeOf = async (layout: Layout, seconds: number) => {
    const baseline = await open(layout, seconds)
    try {
      const { times } = await interleaved([baseline], { rounds: roundsOfLayout, milliseconds: 0 })
      return { layout, milliseconds: times[0].minimumMs }
    } finally {
      baseline.close()
    }
  }
  return {
    name,
    prepare: async (seconds) => {
      const times: Awaited<ReturnType<typeof timeOf>>[] = []
      for (const layout of layouts) times.push(await timeOf(layout, seconds))
      const [best] = times.sort((a, b) => a.milliseconds - b.milliseconds)
      return open(best?.layout ?? 'contiguous', seconds)
    },
  }
}

function onnxBaseline(folder: string, threads: number, benchCase: Case): Baseline {
  const { runtime, model } = baselineFiles(folder)
  const args = [script('baseline-onnx.mjs'), runtime, String(threads)]
  const request = { model, shape: [benchCase.batch, 3, benchCase.imageSize, benchCase.imageSize] }
  const open = () => new BaselineProcess({ program: process.execPath, args, between: 'stopped' })
  return { name: 'onnxruntime-node', prepare: (seconds) => prepareOnCpu(open(), request, seconds) }
}

/** The baselines that are installed for the CPU. */
export interface Installed {
  /** A Python with PyTorch. */
  readonly python?: string
  /** The folder of `npm run bench:peers`, for onnxruntime-node. */
  readonly folder?: string
}

export function cpuBaselines({ python, folder }: Installed, threads: number, benchCase: Case): Baseline[] {
  const names = python === undefined ? [] : (['PyTorch float32', 'PyTorch bf16'] as const)
  const torch = names.map((name) => torchBaseline(python ?? '', threads, benchCase, name))
  const hasModel = folder !== undefined && sameCase(benchCase, exportedCase)
  return hasModel ? [...torch, onnxBaseline(folder, threads, benchCase)] : torch
}
