// The results as text for people, and as JSON for programs.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import path from 'node:path'
import pc from 'picocolors'
import type { Times } from '../lib/measure/interleaved.js'
import {
  caseText,
  type Goal,
  type GoalResult,
  goalOfScaling,
  goalOverLeast,
  goalResult,
  mostBackgroundLoad,
} from './cases.js'
import type { BaselineFound, CaseFound, ScalingFound } from './measure.js'
import { type Ceilings, type Pass, poorShare, type StageRow, type Stored } from './roofline.js'

/** The machine and the versions that figures belong to. */
export interface Machine {
  readonly date: string
  readonly processor: string
  readonly processors: number
  readonly node: string
  readonly vggnet: string
  readonly card?: string
  readonly driver?: string
  readonly [library: string]: string | number | undefined
}

const gpuQuery = ['--query-gpu=name,driver_version', '--format=csv,noheader']

export function machineOf(versions: Readonly<Record<string, string>>): Machine {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const { stdout, status } = spawnSync('nvidia-smi', gpuQuery, { encoding: 'utf8' })
  const [card, driver] = status === 0 ? (stdout.split('\n')[0] ?? '').split(', ') : []
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    node: process.versions.node,
    vggnet: version,
    ...(card && driver && { card, driver }),
    ...versions,
  }
}

export const machineText = (machine: Machine): string =>
  Object.entries(machine)
    .map(([name, value]) => (name === 'processors' ? `${value} processors` : `${name} ${value}`))
    .join(', ')

/** The results of a run; the form of `--json FILE`. */
export interface Found {
  readonly machine: Machine
  readonly precision: Stored
  ceilings?: Ceilings
  readonly cases: CaseFound[]
  scaling?: ScalingFound[]
}

/** Writes the results atomically: another program may read the file while the benchmark runs. */
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

const paint: Record<GoalResult, (text: string) => string> = {
  reached: pc.green,
  enough: pc.yellow,
  missed: pc.red,
  disturbed: pc.yellow,
}

function goalText(ratio: number, goal: Pick<Goal, 'ratio' | 'floor'>, backgroundLoad: number | undefined): string {
  const result = goalResult(ratio, goal, backgroundLoad)
  const words = {
    reached: 'reached',
    enough: `at least ${goal.floor}x is reached`,
    missed: 'missed !',
    disturbed: `no result, background load ${number(100 * (backgroundLoad ?? 0), 0)} %`,
  }[result]
  return paint[result](`${number(ratio, 2)}x, goal ${goal.ratio}x: ${words}`)
}

function baselineText(found: BaselineFound, goals: readonly Goal[]): string {
  const { peer, layout, imagesPerSecond, minimumMs, medianMs, ratio, error } = found
  if (imagesPerSecond === undefined || minimumMs === undefined || medianMs === undefined || ratio === undefined)
    return `  ${peer}: ${error ?? 'not measured'}`
  const name = layout ? `${peer}, ${layout}` : peer
  const text = `  ${name}: ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${rate(imagesPerSecond)} images/s`
  const goal = goals.find((each) => each.peer === peer)
  return `${text}, vggnet ${goal ? goalText(ratio, goal, found.backgroundLoad) : `${number(ratio, 2)}x`}`
}

function backgroundText(share: number): string {
  const text = `background load ${number(100 * share, 0)} %`
  return share > mostBackgroundLoad ? pc.red(`${text} ! (more than ${number(100 * mostBackgroundLoad, 0)} %)`) : text
}

/** The goal is no more memory than PyTorch in the same precision. */
function memoryText(own: number, baselines: readonly BaselineFound[]): string {
  const measured = baselines.filter(({ peakMegabytes }) => peakMegabytes !== undefined)
  const others = measured.map(({ peer, peakMegabytes = 0 }) => `, ${peer} ${number(peakMegabytes, 0)} MB`)
  const text = `peak memory ${number(own, 0)} MB${others.join('')}`
  const same = measured.find(({ peer }) => peer === 'PyTorch float32')?.peakMegabytes
  if (same === undefined) return text
  return own <= same ? pc.green(`${text}: no more than PyTorch`) : pc.red(`${text}: more than PyTorch !`)
}

/** Threads, memory and background load, on the CPU only. */
function cpuLine({ ours, peers, threads, backgroundLoad }: CaseFound): string {
  const words = [`${threads} threads`, memoryText(ours?.peakMegabytes ?? Number.NaN, peers)]
  return `  ${[...words, ...(backgroundLoad === undefined ? [] : [backgroundText(backgroundLoad)])].join('; ')}`
}

export function caseLines(found: CaseFound): string[] {
  const { case: benchCase, device, ours, peers, goals = [], leastMs, overLeast, error } = found
  const what = `vggnet ${caseText(benchCase)}`
  if (ours === undefined) return [`${what}: ${error}`]
  const { bestImagesPerSecond, imagesPerSecond, medianMs, minimumMs, aloneMs, readySeconds } = ours
  const lines = [
    `${what} on ${device}: best ${number(bestImagesPerSecond, 2)}, median ${number(imagesPerSecond, 2)} images/s`,
    `  ${number(medianMs, 3)} ms (least ${number(minimumMs, 3)}), ${number(aloneMs, 3)} ms one by one, ready in ${number(readySeconds, 1)} s`,
  ]
  if (leastMs !== undefined && overLeast !== undefined) {
    const text = `${number(overLeast, 2)}x the least time of its layers, ${number(leastMs, 2)} ms`
    const within = benchCase.mode === 'inference' || goals.length === 0 || overLeast <= goalOverLeast
    lines.push(`  ${within ? text : pc.red(`${text} ! (goal ${goalOverLeast}x)`)}`)
  }
  if (device === 'cpu') lines.push(cpuLine(found))
  if (ours.queue) {
    const { emptyUs, beginUs } = ours.queue
    lines.push(
      `  queue empty for ${number(emptyUs, 1)} us between calls, filled by the host in ${number(beginUs, 1)} us`,
    )
  }
  return [...lines, ...peers.map((peer) => baselineText(peer, goals))]
}

export function scalingLine({ case: benchCase, threads, scaling, error, ...found }: ScalingFound): string {
  const what = `vggnet ${caseText(benchCase)}, ${threads} threads compared with one`
  const { imagesPerSecond, oneThreadImagesPerSecond, backgroundLoad } = found
  if (scaling === undefined || imagesPerSecond === undefined || oneThreadImagesPerSecond === undefined)
    return `${what}: ${error ?? 'not measured'}`
  const rates = `${rate(imagesPerSecond)} and ${rate(oneThreadImagesPerSecond)} images/s`
  const ratio = threads === 2 ? goalText(scaling, goalOfScaling, backgroundLoad) : `${number(scaling, 2)}x`
  return `${what}: ${rates}, ${ratio}; ${backgroundText(backgroundLoad ?? 0)}`
}

function passText(pass: Pass | undefined): string {
  if (pass === undefined) return ''.padStart(38)
  const { milliseconds, teraflopsPerSecond, terabytesPerSecond, share } = pass
  const figures = `${number(milliseconds, 3).padStart(10)}${number(teraflopsPerSecond, 0).padStart(9)}${number(terabytesPerSecond, 2).padStart(9)}`
  if (share === undefined) return figures.padEnd(38)
  const text = `${number(100 * share, 0)} %`.padStart(8)
  return figures + (share < poorShare ? pc.red(`${text} !`) : `${text}  `)
}

/** The table of the stages. Red and `!` mark a stage under 40 % of the rate that its operations and bytes allow. */
export function stageLines(rows: readonly StageRow[] = []): string[] {
  if (rows.length === 0) return []
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

type Head = Pick<Found, 'machine' | 'precision'>

const ownRecord = ({ case: benchCase, threads, ours }: CaseFound, { precision, machine }: Head, times: Times) => ({
  case: caseText(benchCase),
  precision,
  batch: benchCase.batch,
  threads,
  imagesPerSecond: (1000 * benchCase.batch) / times.medianMs,
  minimumMs: times.minimumMs,
  medianMs: times.medianMs,
  rounds: times.roundsMs.length,
  peakMegabytes: ours?.peakMegabytes,
  ...(ours?.queue && { queue: ours.queue }),
  machine,
})

function goalRecord({ goals }: CaseFound, { peer, backgroundLoad }: BaselineFound, ratio: number) {
  const goal = goals?.find((each) => each.peer === peer)
  return goal && { goal: goal.ratio, floor: goal.floor, verdict: goalResult(ratio, goal, backgroundLoad) }
}

function baselineRecord(found: CaseFound, head: Head, baseline: BaselineFound, own: Times) {
  const { ours, imagesPerSecond, minimumMs, medianMs, ratio, error } = baseline
  if (ours === undefined || ratio === undefined) return { ...ownRecord(found, head, own), peer: baseline.peer, error }
  return {
    ...ownRecord(found, head, ours),
    peer: baseline.peer,
    layout: baseline.layout,
    peerImagesPerSecond: imagesPerSecond,
    peerMinimumMs: minimumMs,
    peerMedianMs: medianMs,
    peerPeakMegabytes: baseline.peakMegabytes,
    ratio,
    ...goalRecord(found, baseline, ratio),
    backgroundLoad: baseline.backgroundLoad,
  }
}

/** The records of `--json`: one for each baseline, or one for vggnet alone. */
export function caseRecords(found: CaseFound, head: Head): object[] {
  const { case: benchCase, ours, peers, backgroundLoad, error } = found
  if (ours === undefined)
    return [{ case: caseText(benchCase), precision: head.precision, batch: benchCase.batch, error }]
  if (peers.length === 0) return [{ ...ownRecord(found, head, ours), backgroundLoad }]
  return peers.map((peer) => baselineRecord(found, head, peer, ours))
}

/** The record of `--scaling --json`. The goal is for two threads. */
export const scalingRecord = (
  { case: benchCase, scaling, ...rest }: ScalingFound,
  { precision, machine }: Head,
): object => ({
  case: caseText(benchCase),
  precision,
  batch: benchCase.batch,
  ...rest,
  scaling,
  ...(scaling !== undefined &&
    rest.threads === 2 && {
      goal: goalOfScaling.ratio,
      verdict: goalResult(scaling, goalOfScaling, rest.backgroundLoad),
    }),
  machine,
})
