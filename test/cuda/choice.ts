import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { buildStandIn } from './stand-in/build.mjs'

/** Builds test/cuda/stand-in/check/choice.cpp. */
export async function buildChoice(): Promise<string> {
  const { VGGNET_CUDA_BINARY = '' } = await buildStandIn(root, 'release')
  return path.join(path.dirname(VGGNET_CUDA_BINARY), 'choice')
}

interface Options {
  readonly cache?: string
  readonly direction?: string
  readonly fallback?: string
  readonly env?: NodeJS.ProcessEnv
}

/** One process that chooses among made-up plans, and what it says of it. */
export function choose(program: string, plans: string, options: Options = {}): string {
  const { cache = newFolder(), direction = 'forward', fallback = '-', env } = options
  const environment = { ...process.env, VGGNET_CACHE: cache, ...env }
  return execFileSync(program, [direction, plans, fallback], { env: environment, encoding: 'utf8' }).trim()
}

/** As native/backend/cuda/plan_log.hpp writes it. */
export interface PlanLine {
  readonly kind: 'convolution' | 'product'
  readonly graph: string
  readonly plan: string
  readonly source: 'search' | 'cache' | 'fallback'
  readonly alternative?: string
  readonly build_s?: number
  readonly ms?: number
  readonly tflops?: number
  readonly error?: number
  readonly workspace?: number
  readonly refused?: string
  readonly chosen?: true
  readonly searched?: number
  readonly offered?: number
  readonly seconds?: number
}

export const linesIn = (log: string): PlanLine[] =>
  readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

/** What a choice puts on record. */
export function linesOf(program: string, plans: string, options: Options = {}): PlanLine[] {
  const log = path.join(newFolder(), 'plans.jsonl')
  choose(program, plans, { ...options, env: { ...options.env, VGGNET_CUDA_LOG: log } })
  return linesIn(log)
}

/** The plans that a cache holds. */
export function filesIn(cache: string): string[] {
  const folder = path.join(cache, 'plans')
  return existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : []
}
