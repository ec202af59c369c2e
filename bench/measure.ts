// One case: this library, PyTorch in turns with it, and what the layers could take at best.
import { describe } from 'vggnet'
import { type Case, goalOf, waysOf } from './cases.js'
import { type Ours, openOurs, type Run } from './ours.js'
import type { CaseFound, PeerFound } from './report.js'
import { type Ceilings, leastSecondsOf, type Stored } from './roofline.js'
import { stageRows } from './stages.js'
import type { Torch } from './torch.js'
import { inTurns, type Times } from './turns.js'

export interface Settings {
  readonly run: Run
  readonly stored: Stored
  readonly rounds: number
  /** Of one round; at least one run. */
  readonly milliseconds: number
  /** Absent: nobody to take turns with. */
  readonly rival?: Torch
  readonly ceilings?: Ceilings
  /** Whether the stages are timed as well. */
  readonly stages: boolean
  readonly secondsLeft: () => number
}

/** What PyTorch may take to compile one network. */
export const prepareSeconds = ({ secondsLeft }: Pick<Settings, 'secondsLeft'>): number => Math.min(150, secondsLeft())

/** What an error says, for a report that goes on. */
export const because = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const perSecond = ({ batch }: Case, milliseconds: number) => (1000 * batch) / milliseconds

async function ownTimes(ours: Ours, { rounds, milliseconds }: Settings): Promise<Times> {
  const times = await inTurns([ours], rounds, milliseconds)
  return times.get(ours.name) as Times
}

// Each way of PyTorch has turns of its own with ours: its networks are not in memory together.
async function besideRival(ours: Ours, one: Case, rival: Torch, settings: Settings) {
  const { stored, rounds, milliseconds, secondsLeft } = settings
  const own: Times[] = []
  const peers: PeerFound[] = []
  for (const way of waysOf(one)) {
    try {
      if (secondsLeft() < 15) throw new Error('no time left')
      const prepared = await rival.prepare(one, way, stored, prepareSeconds(settings))
      const times = await inTurns([ours, prepared], rounds, milliseconds)
      const [mine, its] = [times.get(ours.name) as Times, times.get(way) as Times]
      own.push(mine)
      const [imagesPerSecond, ratio] = [perSecond(one, its.medianMs), its.medianMs / mine.medianMs]
      peers.push({ way, ...its, imagesPerSecond, ratio, readySeconds: prepared.readySeconds })
    } catch (error) {
      peers.push({ way, error: because(error) })
    }
  }
  return { times: own.sort((a, b) => a.medianMs - b.medianMs)[0], peers }
}

function leastOf(one: Case, ours: Ours, { medianMs }: Times, { stored, ceilings }: Settings) {
  if (ceilings === undefined) return {}
  const shape = [one.batch, 3, one.imageSize, one.imageSize]
  const { layers } = describe({ layers: ours.net.layers, shape, device: 'cpu' })
  const leastMs = 1000 * leastSecondsOf(layers, stored, one.mode, ceilings)
  return { leastMs, overLeast: medianMs / leastMs }
}

async function measuredWith(ours: Ours, one: Case, settings: Settings): Promise<CaseFound> {
  const { rival, stored, ceilings, rounds, milliseconds, stages } = settings
  const beside = rival ? await besideRival(ours, one, rival, settings) : { peers: [], times: undefined }
  const times = beside.times ?? (await ownTimes(ours, settings))
  const goal = goalOf(one)
  return {
    case: one,
    device: ours.net.device,
    ours: {
      ...times,
      imagesPerSecond: perSecond(one, times.medianMs),
      bestImagesPerSecond: perSecond(one, times.minimumMs),
      aloneMs: await ours.alone(milliseconds),
      readySeconds: ours.readySeconds,
    },
    peers: beside.peers,
    ...(goal && { goal }),
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
    return { case: one, peers: [], error: because(error) }
  }
}
