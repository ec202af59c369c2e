// What a run of the benchmark has found, as JSON and as text.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pc from 'picocolors'
import type { Times } from '../lib/measure/interleaved.js'
import {
  type Case,
  caseText,
  type Goal,
  goalOfScaling,
  goalOverLeast,
  judged,
  type Layout,
  mostBackgroundLoad,
  type PeerName,
  type Verdict,
} from './cases.js'
import { type Machine, machineText } from './machine.js'
import type { Ceilings, Stored } from './roofline.js'
import { type Pass, poorShare, type StageRow } from './stages.js'

export interface PeerFound extends Partial<Times> {
  readonly peer: PeerName
  /** The better of the two, where both were tried. */
  readonly layout?: Layout
  readonly imagesPerSecond?: number
  /** How many times as fast we are: the median of the rounds' ratios. */
  readonly ratio?: number
  /** Ours in these turns. */
  readonly ours?: Times
  readonly readySeconds?: number
  /** Of its process so far, in the host's memory; on a card one process has several peers. */
  readonly peakMegabytes?: number
  /** The share of the machine's processors that was in other hands, the mean over the rounds. */
  readonly backgroundLoad?: number
  readonly error?: string
}

export interface CaseFound {
  readonly case: Case
  readonly device?: string
  readonly threads?: number
  readonly ours?: Times & {
    imagesPerSecond: number
    bestImagesPerSecond: number
    readySeconds: number
    aloneMs: number
    peakMegabytes: number
  }
  readonly peers: readonly PeerFound[]
  readonly goals?: readonly Goal[]
  readonly backgroundLoad?: number
  /** Of the layers, by the measured ceilings. */
  readonly leastMs?: number
  readonly overLeast?: number
  readonly stages?: readonly StageRow[]
  readonly error?: string
}

export interface ScalingFound {
  readonly case: Case
  readonly threads: number
  readonly imagesPerSecond?: number
  readonly oneThreadImagesPerSecond?: number
  /** The second over the first, by the medians. */
  readonly scaling?: number
  readonly backgroundLoad?: number
  readonly error?: string
}

export interface Found {
  readonly machine: Machine
  readonly precision: Stored
  ceilings?: Ceilings
  readonly cases: CaseFound[]
  scaling?: ScalingFound[]
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

const paint: Record<Verdict, (text: string) => string> = {
  reached: pc.green,
  enough: pc.yellow,
  missed: pc.red,
  disturbed: pc.yellow,
}

function verdictText(ratio: number, goal: Pick<Goal, 'ratio' | 'floor'>, backgroundLoad: number | undefined): string {
  const verdict = judged(ratio, goal, backgroundLoad)
  const words = {
    reached: 'reached',
    enough: `at least ${goal.floor}x is reached`,
    missed: 'missed !',
    disturbed: `not judged, foreign load ${number(100 * (backgroundLoad ?? 0), 0)} %`,
  }[verdict]
  return paint[verdict](`${number(ratio, 2)}x, goal ${goal.ratio}x: ${words}`)
}

function peerText(found: PeerFound, goals: readonly Goal[]): string {
  const { peer, layout, imagesPerSecond, minimumMs, medianMs, ratio, error } = found
  if (imagesPerSecond === undefined || minimumMs === undefined || medianMs === undefined || ratio === undefined)
    return `  ${peer}: ${error ?? 'not measured'}`
  const name = layout ? `${peer}, ${layout}` : peer
  const text = `  ${name}: ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${rate(imagesPerSecond)} images/s`
  const goal = goals.find((one) => one.peer === peer)
  return `${text}, ours ${goal ? verdictText(ratio, goal, found.backgroundLoad) : `${number(ratio, 2)}x`}`
}

function backgroundText(share: number): string {
  const text = `foreign load ${number(100 * share, 0)} %`
  return share > mostBackgroundLoad ? pc.red(`${text} ! (more than ${number(100 * mostBackgroundLoad, 0)} %)`) : text
}

/** Ours is to be at most PyTorch's in the same precision. */
function memoryText(own: number, peers: readonly PeerFound[]): string {
  const measured = peers.filter(({ peakMegabytes }) => peakMegabytes !== undefined)
  const others = measured.map(({ peer, peakMegabytes = 0 }) => `, ${peer} ${number(peakMegabytes, 0)} MB`)
  const text = `peak memory ${number(own, 0)} MB${others.join('')}`
  const same = measured.find(({ peer }) => peer === 'PyTorch float32')?.peakMegabytes
  if (same === undefined) return text
  return own <= same ? pc.green(`${text}: no more than PyTorch`) : pc.red(`${text}: more than PyTorch !`)
}

// What matters on a processor only.
function processorLine({ ours, peers, threads, backgroundLoad }: CaseFound): string {
  const words = [`${threads} threads`, memoryText(ours?.peakMegabytes ?? Number.NaN, peers)]
  return `  ${[...words, ...(backgroundLoad === undefined ? [] : [backgroundText(backgroundLoad)])].join('; ')}`
}

/** For people. */
export function caseLines(found: CaseFound): string[] {
  const { case: one, device, ours, peers, goals = [], leastMs, overLeast, error } = found
  const what = `vggnet ${caseText(one)}`
  if (ours === undefined) return [`${what}: ${error}`]
  const { bestImagesPerSecond, imagesPerSecond, medianMs, minimumMs, aloneMs, readySeconds } = ours
  const lines = [
    `${what} on ${device}: best ${number(bestImagesPerSecond, 2)}, median ${number(imagesPerSecond, 2)} images/s`,
    `  ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${number(aloneMs, 3)} ms one by one, ready in ${number(readySeconds, 1)} s`,
  ]
  if (leastMs !== undefined && overLeast !== undefined) {
    const judged = `${number(overLeast, 2)}x the least time of its layers, ${number(leastMs, 2)} ms`
    const within = one.mode === 'inference' || goals.length === 0 || overLeast <= goalOverLeast
    lines.push(`  ${within ? judged : pc.red(`${judged} ! (goal ${goalOverLeast}x)`)}`)
  }
  if (device === 'cpu') lines.push(processorLine(found))
  return [...lines, ...peers.map((peer) => peerText(peer, goals))]
}

export function scalingLine({ case: one, threads, scaling, error, ...found }: ScalingFound): string {
  const what = `vggnet ${caseText(one)}, ${threads} threads beside one`
  const { imagesPerSecond, oneThreadImagesPerSecond, backgroundLoad } = found
  if (scaling === undefined || imagesPerSecond === undefined || oneThreadImagesPerSecond === undefined)
    return `${what}: ${error ?? 'not measured'}`
  const rates = `${rate(imagesPerSecond)} and ${rate(oneThreadImagesPerSecond)} images/s`
  const verdict = threads === 2 ? verdictText(scaling, goalOfScaling, backgroundLoad) : `${number(scaling, 2)}x`
  return `${what}: ${rates}, ${verdict}; ${backgroundText(backgroundLoad ?? 0)}`
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
