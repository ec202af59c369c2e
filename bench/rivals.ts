// Whom a case takes turns with.
import { fileURLToPath } from 'node:url'
import { interleaved } from '../lib/measure/interleaved.js'
import { runFiles } from '../scripts/setup/peers.mjs'
import { type Case, exportedCase, type Layout, layouts, type PeerName, sameCase, waysOf } from './cases.js'
import { PeerProcess } from './peer-process.js'
import type { Stored } from './roofline.js'
import { type Prepared, Torch } from './torch.js'

/** A rival that is ready. */
export interface Opponent extends Prepared {
  readonly pid: number
  readonly layout?: Layout
  close(): void
}

export interface Rival {
  readonly name: PeerName
  prepare(seconds: number): Promise<Opponent>
}

/** What takes part on a processor. */
export interface Peers {
  /** A Python that has PyTorch. */
  readonly python?: string
  /** A folder that `npm run bench:peers` made, for onnxruntime-node. */
  readonly folder?: string
}

/** PyTorch in each of its ways, all in one process, so that just one network is in the card's memory. */
export function cardRivals(torch: Torch, one: Case, precision: Stored): Rival[] {
  return waysOf(one).map((way) => {
    const name = `PyTorch ${way}` as const
    const prepare = async (seconds: number): Promise<Opponent> => ({
      ...(await torch.prepare(one, { way, layout: 'channels_last', precision }, seconds)),
      name,
      pid: torch.pid as number,
      close: () => undefined,
    })
    return { name, prepare }
  })
}

// A process of its own for each network: its peak of memory is that network's.
async function openTorch(python: string, threads: number, one: Case, name: PeerName, layout: Layout, seconds: number) {
  const torch = Torch.onProcessor(python, threads)
  try {
    const precision = name === 'PyTorch bf16' ? 'bf16' : 'float32'
    const prepared = await torch.prepare(one, { way: 'eager', layout, precision }, seconds)
    return { ...prepared, name, layout, pid: torch.pid as number, close: () => torch.close() }
  } catch (error) {
    torch.close()
    throw error
  }
}

const trialRounds = 2

/** PyTorch in the layout that was the faster in a short trial. */
function torchRival(python: string, threads: number, one: Case, name: PeerName): Rival {
  const trialOf = async (layout: Layout, seconds: number) => {
    const opponent = await openTorch(python, threads, one, name, layout, seconds)
    try {
      const times = await interleaved([opponent], trialRounds, 0)
      return { layout, milliseconds: times.get(name)?.minimumMs ?? Number.POSITIVE_INFINITY }
    } finally {
      opponent.close()
    }
  }
  return {
    name,
    prepare: async (seconds) => {
      const trials: Awaited<ReturnType<typeof trialOf>>[] = []
      for (const layout of layouts) trials.push(await trialOf(layout, seconds))
      const [best] = trials.sort((a, b) => a.milliseconds - b.milliseconds)
      return openTorch(python, threads, one, name, best?.layout ?? 'contiguous', seconds)
    },
  }
}

function onnxRival(folder: string, threads: number, one: Case): Rival {
  const { runtime, model } = runFiles(folder)
  const script = fileURLToPath(new URL('peer-onnx.mjs', import.meta.url))
  return {
    name: 'onnxruntime-node',
    prepare: async (seconds) => {
      const words = [script, runtime, String(threads)]
      const peer = new PeerProcess({ program: process.execPath, words, between: 'stopped' })
      try {
        const shape = [one.batch, 3, one.imageSize, one.imageSize]
        const { ready } = await peer.ask({ do: 'prepare', model, shape }, seconds)
        return {
          name: 'onnxruntime-node',
          readySeconds: Number(ready),
          round: async (milliseconds) => Number((await peer.ask({ do: 'round', milliseconds }, 300)).milliseconds),
          pid: peer.pid as number,
          close: () => peer.close(),
        }
      } catch (error) {
        peer.close()
        throw error
      }
    },
  }
}

export function processorRivals({ python, folder }: Peers, threads: number, one: Case): Rival[] {
  const precisions = python === undefined ? [] : (['PyTorch float32', 'PyTorch bf16'] as const)
  const rivals = precisions.map((name) => torchRival(python ?? '', threads, one, name))
  return folder !== undefined && sameCase(one, exportedCase) ? [...rivals, onnxRival(folder, threads, one)] : rivals
}
