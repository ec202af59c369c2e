// One case: this library, its rivals in turns with it, and what the layers could take at best.

import { messageOf } from '../lib/error.js'
import { describe } from '../lib/index.js'
import { interleaved, medianRatio, type Times } from '../lib/measure/interleaved.js'
import { type Ours, openOurs, type Run } from '../lib/measure/ours.js'
import { LoadWatch, mean, peakMegabytes } from '../lib/measure/processes.js'
import { type Case, goalsOf } from './cases.js'
import type { CaseFound, PeerFound } from './report.js'
import type { Rival } from './rivals.js'
import { type Ceilings, leastSecondsOf, type Stored } from './roofline.js'
import { stageRows } from './stages.js'

export interface Settings {
  readonly run: Run
  readonly stored: Stored
  readonly rounds: number
  /** Of one round; at least one run. */
  readonly milliseconds: number
  readonly rivalsOf: (one: Case) => readonly Rival[]
  /** What a rival may take until it is ready, where there is so much left. */
  readonly prepareSeconds: number
  readonly ceilings?: Ceilings
  /** Whether the stages are timed as well. */
  readonly stages: boolean
  readonly secondsLeft: () => number
}

const perSecond = ({ batch }: Case, milliseconds: number) => (1000 * batch) / milliseconds

interface Found {
  readonly times: Times
  /** Of each round. */
  readonly shares: readonly number[]
}

async function ownTimes(ours: Ours, { rounds, milliseconds }: Settings): Promise<Found> {
  const watch = new LoadWatch()
  const times = await interleaved([watch.watched(ours)], rounds, milliseconds)
  return { times: times.get(ours.name) as Times, shares: watch.shares }
}

// A card has its own load.
const backgroundLoadOf = ({ net }: Ours, shares: readonly number[]) =>
  net.device === 'cpu' ? { backgroundLoad: mean(shares) } : {}

async function besideOne(ours: Ours, one: Case, rival: Rival, settings: Settings): Promise<[Found, PeerFound]> {
  const { rounds, milliseconds, secondsLeft, prepareSeconds } = settings
  const opponent = await rival.prepare(Math.min(prepareSeconds, secondsLeft()))
  try {
    const watch = new LoadWatch([opponent.pid])
    const found = await interleaved([watch.watched(ours), watch.watched(opponent)], rounds, milliseconds)
    const [mine, its] = [found.get(ours.name) as Times, found.get(opponent.name) as Times]
    const peer = {
      peer: rival.name,
      ...(opponent.layout && { layout: opponent.layout }),
      ...its,
      imagesPerSecond: perSecond(one, its.medianMs),
      ratio: medianRatio(mine, its),
      ours: mine,
      readySeconds: opponent.readySeconds,
      peakMegabytes: peakMegabytes(opponent.pid),
      ...backgroundLoadOf(ours, watch.shares),
    }
    return [{ times: mine, shares: watch.shares }, peer]
  } finally {
    opponent.close()
  }
}

// Each rival has turns of its own with ours: their networks are not in memory together.
async function besideRivals(ours: Ours, one: Case, settings: Settings) {
  const own: Found[] = []
  const peers: PeerFound[] = []
  for (const rival of settings.rivalsOf(one)) {
    try {
      if (settings.secondsLeft() < 15) throw new Error('no time left')
      const [mine, peer] = await besideOne(ours, one, rival, settings)
      own.push(mine)
      peers.push(peer)
    } catch (error) {
      peers.push({ peer: rival.name, error: messageOf(error) })
    }
  }
  return { own: own.sort((a, b) => a.times.medianMs - b.times.medianMs), peers }
}

function leastOf(one: Case, ours: Ours, { medianMs }: Times, { stored, ceilings }: Settings) {
  if (ceilings === undefined) return {}
  const shape = [one.batch, 3, one.imageSize, one.imageSize]
  const { layers } = describe({ layers: ours.net.layers, shape, device: 'cpu' })
  const leastMs = 1000 * leastSecondsOf(layers, stored, one.mode, ceilings)
  return { leastMs, overLeast: medianMs / leastMs }
}

async function measuredWith(ours: Ours, one: Case, settings: Settings): Promise<CaseFound> {
  const { stored, ceilings, rounds, milliseconds, stages } = settings
  const { own, peers } = await besideRivals(ours, one, settings)
  const [first = await ownTimes(ours, settings), ...others] = own
  const { times } = first
  return {
    case: one,
    device: ours.net.device,
    threads: ours.net.run.threads,
    ours: {
      ...times,
      imagesPerSecond: perSecond(one, times.medianMs),
      bestImagesPerSecond: perSecond(one, times.minimumMs),
      aloneMs: await ours.alone(milliseconds),
      readySeconds: ours.readySeconds,
      peakMegabytes: peakMegabytes(process.pid),
    },
    peers,
    goals: goalsOf(one, ours.net.device),
    ...backgroundLoadOf(
      ours,
      [first, ...others].flatMap(({ shares }) => shares),
    ),
    ...leastOf(one, ours, times, settings),
    ...(stages &&
      one.mode === 'training' && { stages: await stageRows(ours.net, ours.images, stored, ceilings, rounds) }),
  }
}

/** What was found, also where it is an error: the next case is measured all the same. */
export async function measure(one: Case, settings: Settings): Promise<CaseFound> {
  try {
    if (settings.secondsLeft() < 10) throw new Error('no time left')
    const ours = await openOurs(one, settings.run)
    try {
      return await measuredWith(ours, one, settings)
    } finally {
      ours.net.dispose()
    }
  } catch (error) {
    return { case: one, peers: [], error: messageOf(error) }
  }
}
