// The baselines, each in its own process: PyTorch (baseline_torch.py) and onnxruntime-node (baseline-onnx.mjs).
import { fileURLToPath } from 'node:url'
import { type Contender, interleaved } from '../lib/measure/interleaved.js'
import { baselineFiles } from '../scripts/setup/peers.mjs'
import { BaselineProcess } from './baseline-process.mjs'
import { type BaselineName, type Case, exportedCase, type Layout, layouts, sameCase, waysOf } from './cases.js'
import type { Stored } from './roofline.js'

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
  benchCase: Omit<Case, 'mode'> & { mode: Case['mode'] | 'image-gradient' | 'style' },
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
