// Measures one case: this library, interleaved with its baselines, and the least time of its layers.
import { messageOf } from '../lib/error.js'
import { describe } from '../lib/index.js'
import { peakMegabytes } from '../lib/measure/background-load.js'
import { interleaved, mean, median, medianRatio, type Times } from '../lib/measure/interleaved.js'
import { type Ours, openOurs, type Run } from '../lib/measure/ours.js'
import type { Baseline } from './baselines.js'
import { type BaselineName, type Case, type Goal, goalsOf, type Layout } from './cases.js'
import { type Ceilings, leastSecondsOf, type StageRow, type Stored, stageRows } from './roofline.js'

/** How the host keeps a GPU busy: medians over calls that are made together, so that the next one is waiting. */
export interface Queue {
  /** Microseconds in which the host puts a call into the queue. */
  readonly beginUs: number
  /** Microseconds from the end of a call to the moment at which the next one is in the queue; 0 if it was there before. */
  readonly emptyUs: number
}

/** The result of a baseline. The names in this file's results are keys of the JSON. */
export interface BaselineFound extends Partial<Times> {
  readonly peer: BaselineName
  /** The faster layout, if both were tried. */
  readonly layout?: Layout
  readonly imagesPerSecond?: number
  /** How many times as fast vggnet is: the median of the rounds' ratios. */
  readonly ratio?: number
  /** Times of vggnet in the rounds with this baseline. */
  readonly ours?: Times
  readonly readySeconds?: number
  /** Peak host memory of its process until now. On a GPU one process runs several baselines. */
  readonly peakMegabytes?: number
  /** Background load, 0 to 1: the mean over the rounds. */
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
    /** On a GPU. */
    queue?: Queue
    peakMegabytes: number
  }
  readonly peers: readonly BaselineFound[]
  readonly goals?: readonly Goal[]
  readonly backgroundLoad?: number
  /** The least time of the layers, from the measured ceilings. */
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
  /** The first rate divided by the second. */
  readonly scaling?: number
  readonly backgroundLoad?: number
  readonly error?: string
}

export interface Settings {
  readonly run: Run
  readonly stored: Stored
  readonly rounds: number
  /** Time of one round; a round is at least one run. */
  readonly milliseconds: number
  readonly baselinesOf: (benchCase: Case) => readonly Baseline[]
  /** Time limit for preparing a baseline. */
  readonly prepareSeconds: number
  readonly ceilings?: Ceilings
  /** Whether each stage is measured too. */
  readonly stages: boolean
  readonly secondsLeft: () => number
}

const perSecond = ({ batch }: Case, milliseconds: number) => (1000 * batch) / milliseconds

/** Rounds of vggnet, and the background load of each round. */
interface OwnRounds {
  readonly times: Times
  readonly loads: readonly number[]
}

// A GPU's load is not known.
const backgroundLoadOf = ({ net }: Ours, loads: readonly number[]) =>
  net.device === 'cpu' ? { backgroundLoad: mean(loads) } : {}

async function withBaseline(
  ours: Ours,
  benchCase: Case,
  baseline: Baseline,
  settings: Settings,
): Promise<[OwnRounds, BaselineFound]> {
  const { prepareSeconds, secondsLeft } = settings
  const prepared = await baseline.prepare(Math.min(prepareSeconds, secondsLeft()))
  try {
    const { times, backgroundLoads } = await interleaved([ours, prepared], settings)
    const [own, its] = times
    const found = {
      peer: baseline.name,
      ...(prepared.layout && { layout: prepared.layout }),
      ...its,
      imagesPerSecond: perSecond(benchCase, its.medianMs),
      ratio: medianRatio(own, its),
      ours: own,
      readySeconds: prepared.readySeconds,
      peakMegabytes: peakMegabytes(prepared.pid),
      ...backgroundLoadOf(ours, backgroundLoads),
    }
    return [{ times: own, loads: backgroundLoads }, found]
  } finally {
    prepared.close()
  }
}

// One baseline after the other: their networks are not in memory at the same time.
async function withBaselines(ours: Ours, benchCase: Case, settings: Settings) {
  const own: OwnRounds[] = []
  const baselines: BaselineFound[] = []
  for (const baseline of settings.baselinesOf(benchCase)) {
    try {
      if (settings.secondsLeft() < 15) throw new Error('no time left')
      const [rounds, found] = await withBaseline(ours, benchCase, baseline, settings)
      own.push(rounds)
      baselines.push(found)
    } catch (error) {
      baselines.push({ peer: baseline.name, error: messageOf(error) })
    }
  }
  return { own: own.sort((a, b) => a.times.medianMs - b.times.medianMs), baselines }
}

async function alone(ours: Ours, settings: Settings): Promise<OwnRounds> {
  const { times, backgroundLoads } = await interleaved([ours], settings)
  return { times: times[0], loads: backgroundLoads }
}

async function queueOf({ net, together }: Ours, milliseconds: number): Promise<{ queue?: Queue }> {
  if (net.device === 'cpu') return {}
  await net.queueTimes()
  const times = []
  for (const start = performance.now(); performance.now() - start < milliseconds; ) {
    await together(6)
    // nothing was waiting before the first
    times.push(...(await net.queueTimes()).slice(1))
  }
  return {
    queue: {
      beginUs: median(times.map((each) => each.beginUs)),
      emptyUs: median(times.map((each) => each.emptyUs)),
    },
  }
}

function leastOf(benchCase: Case, ours: Ours, { medianMs }: Times, { stored, ceilings }: Settings) {
  if (ceilings === undefined) return {}
  const shape = [benchCase.batch, 3, benchCase.imageSize, benchCase.imageSize]
  const { layers } = describe({ layers: ours.net.layers, shape, device: 'cpu' })
  const leastMs = 1000 * leastSecondsOf(layers, stored, benchCase.mode, ceilings)
  return { leastMs, overLeast: medianMs / leastMs }
}

async function measured(ours: Ours, benchCase: Case, settings: Settings): Promise<CaseFound> {
  const { stored, ceilings, rounds, milliseconds, stages } = settings
  const { own, baselines } = await withBaselines(ours, benchCase, settings)
  const [first = await alone(ours, settings), ...others] = own
  const { times } = first
  const loads = [first, ...others].flatMap((one) => one.loads)
  return {
    case: benchCase,
    device: ours.net.device,
    threads: ours.net.run.threads,
    ours: {
      ...times,
      imagesPerSecond: perSecond(benchCase, times.medianMs),
      bestImagesPerSecond: perSecond(benchCase, times.minimumMs),
      aloneMs: await ours.alone(milliseconds),
      ...(await queueOf(ours, milliseconds)),
      readySeconds: ours.readySeconds,
      peakMegabytes: peakMegabytes(process.pid),
    },
    peers: baselines,
    goals: goalsOf(benchCase, ours.net.device),
    ...backgroundLoadOf(ours, loads),
    ...leastOf(benchCase, ours, times, settings),
    ...(stages &&
      benchCase.mode === 'training' && { stages: await stageRows(ours.net, ours.images, stored, ceilings, rounds) }),
  }
}

/** Measures a case. An error is part of the result, so that the next case is measured. */
export async function measureCase(benchCase: Case, settings: Settings): Promise<CaseFound> {
  try {
    if (settings.secondsLeft() < 10) throw new Error('no time left')
    const ours = await openOurs(benchCase, settings.run)
    try {
      return await measured(ours, benchCase, settings)
    } finally {
      ours.net.dispose()
    }
  } catch (error) {
    return { case: benchCase, peers: [], error: messageOf(error) }
  }
}

export interface ScalingSettings extends Pick<Settings, 'rounds' | 'milliseconds'> {
  readonly run: Run & { readonly threads: number }
}

/** Measures one thread interleaved with several. An error is part of the result. */
export async function measureScaling(benchCase: Case, settings: ScalingSettings): Promise<ScalingFound> {
  const { run } = settings
  const { threads } = run
  const opened: Ours[] = []
  try {
    for (const count of [1, threads]) opened.push(await openOurs(benchCase, { ...run, threads: count }))
    const { times, backgroundLoads } = await interleaved(opened, settings)
    const [single = Number.NaN, several = Number.NaN] = times.map(({ medianMs }) => medianMs)
    return {
      case: benchCase,
      threads,
      imagesPerSecond: perSecond(benchCase, several),
      oneThreadImagesPerSecond: perSecond(benchCase, single),
      scaling: single / several,
      backgroundLoad: mean(backgroundLoads),
    }
  } catch (error) {
    return { case: benchCase, threads, error: messageOf(error) }
  } finally {
    for (const { net } of opened) net.dispose()
  }
}
