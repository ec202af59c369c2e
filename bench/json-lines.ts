// What a run has found, for programs: a record for each case and peer.

import type { Times } from '../lib/measure/interleaved.js'
import type { PeerName } from './cases.js'
import { caseText, goalOfScaling, judged } from './cases.js'
import type { CaseFound, Found, PeerFound, ScalingFound } from './report.js'

type Head = Pick<Found, 'machine' | 'precision'>

const ownRecord = ({ case: one, threads, ours }: CaseFound, { precision, machine }: Head, times: Times) => ({
  case: caseText(one),
  precision,
  batch: one.batch,
  threads,
  imagesPerSecond: (1000 * one.batch) / times.medianMs,
  minimumMs: times.minimumMs,
  medianMs: times.medianMs,
  rounds: times.roundsMs.length,
  peakMegabytes: ours?.peakMegabytes,
  machine,
})

function goalRecord(found: CaseFound, peer: PeerName, ratio: number, backgroundLoad: number | undefined) {
  const goal = found.goals?.find((one) => one.peer === peer)
  return goal && { goal: goal.ratio, floor: goal.floor, verdict: judged(ratio, goal, backgroundLoad) }
}

function peerRecord(found: CaseFound, head: Head, peer: PeerFound, own: Times) {
  const { ours, imagesPerSecond, minimumMs, medianMs, ratio, error } = peer
  if (ours === undefined || ratio === undefined) return { ...ownRecord(found, head, own), peer: peer.peer, error }
  return {
    ...ownRecord(found, head, ours),
    peer: peer.peer,
    layout: peer.layout,
    peerImagesPerSecond: imagesPerSecond,
    peerMinimumMs: minimumMs,
    peerMedianMs: medianMs,
    peerPeakMegabytes: peer.peakMegabytes,
    ratio,
    ...goalRecord(found, peer.peer, ratio, peer.backgroundLoad),
    backgroundLoad: peer.backgroundLoad,
  }
}

/** One for each peer, or one for us alone. */
export function caseRecords(found: CaseFound, head: Head): object[] {
  const { case: one, ours, peers, backgroundLoad, error } = found
  if (ours === undefined) return [{ case: caseText(one), precision: head.precision, batch: one.batch, error }]
  if (peers.length === 0) return [{ ...ownRecord(found, head, ours), backgroundLoad }]
  return peers.map((peer) => peerRecord(found, head, peer, ours))
}

/** The goal is for two threads. */
export const scalingRecord = ({ case: one, scaling, ...rest }: ScalingFound, { precision, machine }: Head): object => ({
  case: caseText(one),
  precision,
  batch: one.batch,
  ...rest,
  scaling,
  ...(scaling !== undefined &&
    rest.threads === 2 && { goal: goalOfScaling.ratio, verdict: judged(scaling, goalOfScaling, rest.backgroundLoad) }),
  machine,
})
