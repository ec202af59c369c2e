// What a run of the benchmark has found, as JSON and as text.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pc from 'picocolors'
import { type Case, caseText, type Goal, goalOverLeast, type Way } from './cases.js'
import { type Machine, machineText } from './machine.js'
import type { Ceilings, Stored } from './roofline.js'
import { type Pass, poorShare, type StageRow } from './stages.js'
import type { Times } from './turns.js'

export interface PeerFound extends Partial<Times> {
  readonly way: Way
  readonly imagesPerSecond?: number
  /** Our images per second over its own, by the medians. */
  readonly ratio?: number
  readonly readySeconds?: number
  readonly error?: string
}

export interface CaseFound {
  readonly case: Case
  readonly device?: string
  readonly ours?: Times & {
    imagesPerSecond: number
    bestImagesPerSecond: number
    readySeconds: number
    aloneMs: number
  }
  readonly peers: readonly PeerFound[]
  readonly goal?: Goal
  /** Of the layers, by the measured ceilings. */
  readonly leastMs?: number
  readonly overLeast?: number
  readonly stages?: readonly StageRow[]
  readonly error?: string
}

export interface Found {
  readonly machine: Machine
  readonly precision: Stored
  ceilings?: Ceilings
  readonly cases: CaseFound[]
}

/** Whole at any time: another program may read it while the benchmark runs. */
export function writeFound(file: string, found: Found): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(found, undefined, 1)}\n`)
  renameSync(`${file}.new`, file)
}

const number = (value: number, digits: number) => value.toFixed(digits)
const rate = (value: number) => number(value, value < 100 ? 2 : value < 1000 ? 1 : 0)

export function headLines({
  machine,
  precision,
  ceilings,
}: Pick<Found, 'machine' | 'precision' | 'ceilings'>): string[] {
  const lines = [machineText(machine), `precision ${precision}`]
  if (ceilings === undefined) return lines
  const [product, copy] = [ceilings.flopsPerSecond / 1e12, ceilings.bytesPerSecond / 1e12]
  return [...lines, `measured ceilings: product ${number(product, 0)} TFLOP/s, copy ${number(copy, 2)} TB/s`]
}

function peerText({ way, imagesPerSecond, minimumMs, medianMs, ratio, error }: PeerFound, goal?: Goal): string {
  if (imagesPerSecond === undefined || minimumMs === undefined || medianMs === undefined || ratio === undefined)
    return `  PyTorch ${way}: ${error ?? 'not measured'}`
  const text = `  PyTorch ${way}: ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${rate(imagesPerSecond)} images/s`
  const compared = `ours ${number(ratio, 2)}x`
  if (goal?.way !== way) return `${text}, ${compared}`
  const judged = `${compared}, goal ${goal.ratio}x`
  return `${text}, ${ratio >= goal.ratio ? pc.green(judged) : pc.red(`${judged} !`)}`
}

/** The first line is the documented one of a single case. */
export function caseLines({ case: one, device, ours, peers, goal, leastMs, overLeast, error }: CaseFound): string[] {
  const what = `vggnet ${caseText(one)}`
  if (ours === undefined) return [`${what}: ${error}`]
  const { bestImagesPerSecond, imagesPerSecond, medianMs, minimumMs, aloneMs, readySeconds } = ours
  const lines = [
    `${what} on ${device}: best ${number(bestImagesPerSecond, 2)}, median ${number(imagesPerSecond, 2)} images/s`,
    `  ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${number(aloneMs, 3)} ms one by one, ready in ${number(readySeconds, 1)} s`,
  ]
  if (leastMs !== undefined && overLeast !== undefined) {
    const judged = `${number(overLeast, 2)}x the least time of its layers, ${number(leastMs, 2)} ms`
    const within = one.mode === 'inference' || goal === undefined || overLeast <= goalOverLeast
    lines.push(`  ${within ? judged : pc.red(`${judged} ! (goal ${goalOverLeast}x)`)}`)
  }
  return [...lines, ...peers.map((peer) => peerText(peer, goal))]
}

function passText(pass: Pass | undefined): string {
  if (pass === undefined) return ''.padStart(38)
  const { milliseconds, teraflopsPerSecond, terabytesPerSecond, share } = pass
  const figures = `${number(milliseconds, 3).padStart(10)}${number(teraflopsPerSecond, 0).padStart(9)}${number(terabytesPerSecond, 2).padStart(9)}`
  if (share === undefined) return figures.padEnd(38)
  const text = `${number(100 * share, 0)} %`.padStart(8)
  return figures + (share < poorShare ? pc.red(`${text} !`) : `${text}  `)
}

/** A row for each stage; `!` and red: under 40 % of what its operations and bytes allow. */
export function stageLines(rows: readonly StageRow[]): string[] {
  const heads = `${'ms'.padStart(10)}${'TFLOP/s'.padStart(9)}${'TB/s'.padStart(9)}${'share'.padStart(8)}  `
  const total = (part: 'forward' | 'backward') => rows.reduce((sum, row) => sum + (row[part]?.milliseconds ?? 0), 0)
  const sum = `sum ${number(total('forward'), 3)} ms forward, ${number(total('backward'), 3)} ms backward, without the update`
  return [
    `  ${'stage'.padEnd(16)}${'forward'.padStart(10).padEnd(38)}${'backward'.padStart(10)}`,
    `  ${''.padEnd(16)}${heads}${heads}`,
    ...rows.map((row) => `  ${row.name.padEnd(16)}${passText(row.forward)}${passText(row.backward)}`),
    `  ${sum}`,
  ]
}
