import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Layer } from '../../../lib/layer.js'
import { vggLayers } from '../../../lib/vgg/configuration.js'
import { type VariantLetter, variants } from '../../../lib/vgg/variants.js'
import { buildPlans } from './build.mjs'

/** One use of a network: what cuDNN has to do depends on nothing else. */
export interface Run {
  readonly variant: VariantLetter
  /** The side of the images that the network is made for. */
  readonly made: number
  readonly images: number
  readonly size: readonly [height: number, width: number]
  readonly precision: 'bf16' | 'tf32' | 'float32'
  /** `alternatives`: all ways to compute an input gradient, not only the first. */
  readonly options: readonly ('training' | 'exact' | 'deterministic' | 'image' | 'alternatives')[]
}

/** What can be seen of a graph's plan without a card. */
export interface Restored {
  readonly graph: string
  readonly workspace: number
  /** Of the plan as it is serialized. */
  readonly bytes: number
  readonly hash: string
  /** How running it ends. */
  readonly end: string
}

/** What cuDNN made of one graph. */
export interface Planned extends Restored {
  /** The first network and layer that has it. */
  readonly layer: string
  readonly engine: string
  /** Of the code that was compiled for it; empty where cuDNN brings the code along. */
  readonly kernel: string
  readonly heuristics: 'first' | 'fallback' | 'none'
  /** Offered; some may be refused when they are built. */
  readonly plans: number
  readonly cap: number
  /** Which plan is the first with a kernel for sm_90, on such a card; -1: none of those that would be tried. */
  readonly suited: number
  /** Why there is none. */
  readonly refusal: string
}

export const cards = {
  'NVIDIA H200': { file: 'h200.json', capability: 90 },
  'NVIDIA H100': { file: 'h100.json', capability: 90 },
  'NVIDIA A100': { file: 'a100.json', capability: 80 },
  'GeForce RTX 4090': { file: 'rtx4090.json', capability: 89 },
} as const

export type Card = keyof typeof cards

function lineOf(layer: Layer): string {
  switch (layer.kind) {
    case 'input':
      return `input ${layer.channels}`
    case 'convolution':
      return `convolution ${layer.name} ${layer.relu ?? '-'} ${layer.outputs} ${layer.kernel}`
    case 'max-pool':
      return `max-pool ${layer.name}`
    case 'local-norm':
      return `norm ${layer.name}`
    case 'linear':
      return `linear ${layer.name} ${layer.relu ?? '-'} ${layer.outputs} ${layer.window.join(' ')} ${layer.dropout ?? 0}`
    case 'spatial-mean':
      return `mean ${layer.name}`
  }
}

function linesOf({ variant, made, images, size, precision, options }: Run): string[] {
  const layers = vggLayers({
    variant: variants[variant],
    classes: 1000,
    channels: 3,
    imageSize: [made, made],
    dropout: 0.5,
    headWidth: 4096,
    width: 1,
    meanRgb: [124, 117, 104],
    scale: [1, 1, 1],
    localNorm: 'literal',
  })
  return ['clear', ...layers.map(lineOf), ['run', variant, images, ...size, precision, ...options].join(' ')]
}

/**
 * Every graph of these runs, each once, as cuDNN plans it for a card that is not here. Its first plan is kept in the
 * product's cache, in the folder.
 */
export const planned = (card: Card, runs: readonly Run[], folder: string): Promise<Planned[]> =>
  answers(card, runs, ['build', folder])

/** The plans of these graphs, restored from there. */
export const restored = (card: Card, runs: readonly Run[], folder: string): Promise<Restored[]> =>
  answers(card, runs, ['restore', folder])

async function answers<Answer>(card: Card, runs: readonly Run[], words: readonly string[]): Promise<Answer[]> {
  const { program, env } = await buildPlans()
  const description = path.join(path.dirname(fileURLToPath(import.meta.url)), cards[card].file)
  const child = spawn(program, [description, String(cards[card].capability), ...words], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let lines = ''
  let complaints = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    lines += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints += text
  })
  child.stdin.end(`${runs.flatMap(linesOf).join('\n')}\n`)
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)))
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${complaints}`)
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
