import { describe, expect, test } from 'vitest'
import {
  type Case,
  cardCases,
  exportedCase,
  goalsOf,
  judged,
  processorCases,
  sameCase,
  scalingCases,
} from '../../bench/cases.js'
import { namedCase, readFlags, wantsPeers } from '../../bench/flags.js'
import { caseRecords, scalingRecord } from '../../bench/json-lines.js'
import type { CaseFound } from '../../bench/report.js'
import { interleaved, medianRatio, timesOf } from '../../lib/measure/interleaved.js'

describe('the command line', () => {
  const read = (...words: string[]) => readFlags(words)

  test('names a case by any of variant, size, batch and mode', () => {
    expect(namedCase(read())).toBeUndefined()
    expect(namedCase(read('--threads', '1', '--classes', '10'))).toBeUndefined()
    expect(namedCase(read('--batch', '2', '--classes', '10'))).toEqual({
      variant: 'D',
      imageSize: 224,
      batch: 2,
      mode: 'training',
      headWidth: 4096,
      classes: 10,
    })
  })

  test('takes turns with others in the cases that have goals, and where it is told to', () => {
    expect(wantsPeers(read())).toBe(true)
    expect(wantsPeers(read('--batch', '2'))).toBe(false)
    expect(wantsPeers(read('--batch', '2', '--peers'))).toBe(true)
    expect(wantsPeers(read('--batch', '2', '--peer', 'python3'))).toBe(true)
    expect(wantsPeers(read('--alone'))).toBe(false)
    expect(wantsPeers(read('--scaling'))).toBe(false)
  })

  test('takes a file or none for --json, a folder or none for --peers, and seven rounds unless told', () => {
    expect(read('--json').json).toBe(true)
    expect(read('--json', 'found.json').json).toBe('found.json')
    expect(read('--peers', '--json')).toMatchObject({ peers: true, json: true, rounds: 7, device: 'cpu' })
    expect(read('--peers', 'folder').peers).toBe('folder')
  })
})

describe('rounds', () => {
  test('have a least and a median', () => {
    expect(timesOf([5, 3, 4])).toEqual({ minimumMs: 3, medianMs: 4, roundsMs: [5, 3, 4] })
    expect(timesOf([]).minimumMs).toBeNaN()
  })

  test('the ratio is the median of the pairs, not the ratio of the medians', () => {
    // a neighbour slows both down in the second and third round
    const [ours, theirs] = [timesOf([10, 40, 30]), timesOf([20, 80, 90])]
    expect(medianRatio(ours, theirs)).toBe(2)
    expect(theirs.medianMs / ours.medianMs).toBeCloseTo(2.67)
  })

  test('contenders take turns', async () => {
    const order: string[] = []
    const contender = (name: string, time: number) => ({
      name,
      round: async () => {
        order.push(name)
        return time
      },
    })
    const found = await interleaved([contender('a', 1), contender('b', 2)], 2, 0)
    expect(order).toEqual(['a', 'b', 'a', 'b'])
    expect(found.get('b')).toEqual({ minimumMs: 2, medianMs: 2, roundsMs: [2, 2] })
  })
})

describe('goals', () => {
  const of = (one: Case, device = 'cpu') =>
    goalsOf(one, device).map(({ peer, ratio, floor }) => `${peer} ${ratio} ${floor}`)

  test('are those of the four cases on a processor', () => {
    expect(processorCases.map((one) => of(one))).toEqual([
      ['PyTorch float32 3 2.6', 'PyTorch bf16 1.6 1.4'],
      ['PyTorch float32 2.4 2.2', 'PyTorch bf16 1.3 1.15', 'onnxruntime-node 2 2'],
      ['PyTorch float32 2.3 2.1', 'PyTorch bf16 1.8 1.5'],
      ['PyTorch float32 2.2 2', 'PyTorch bf16 1.3 1.15'],
    ])
    expect(scalingCases.map(({ mode, batch }) => [mode, batch])).toEqual([
      ['training', 32],
      ['inference', 8],
    ])
  })

  test('are those of three cases on a card', () => {
    expect(cardCases.flatMap((one) => of(one, 'cuda:0'))).toEqual([
      'PyTorch compile 1.25 1.25',
      'PyTorch compile 1.15 1.15',
      'PyTorch graphs 1.3 1.3',
    ])
  })

  test('belong to a case that is named by flags as well', () => {
    const named = namedCase(readFlags(['--mode', 'inference']))
    expect(named && sameCase(named, exportedCase)).toBe(true)
    expect(of({ ...exportedCase, headWidth: 512 })).toEqual([])
  })

  test('are reached, or just their floor, or missed', () => {
    const goal = { ratio: 3, floor: 2.6 }
    const verdicts = [3, 2.99, 2.6, 2.59].map((ratio) => judged(ratio, goal, 0.15))
    expect(verdicts).toEqual(['reached', 'enough', 'enough', 'missed'])
    expect([3, 2.59].map((ratio) => judged(ratio, goal, 0.16))).toEqual(['disturbed', 'disturbed'])
    expect(judged(3, goal, undefined)).toBe('reached')
  })
})

describe('lines for programs', () => {
  const machine = { date: '2026-11-23', processor: 'p', processors: 2, node: '20', vggnet: '0', torch: '2.13.0' }
  const head = { machine, precision: 'float32' } as const
  const ours = {
    ...timesOf([100, 200, 150]),
    imagesPerSecond: 53.3,
    bestImagesPerSecond: 80,
    aloneMs: 150,
    readySeconds: 1,
    peakMegabytes: 900,
  }
  const found: CaseFound = {
    case: exportedCase,
    device: 'cpu',
    threads: 2,
    ours,
    goals: goalsOf(exportedCase, 'cpu'),
    backgroundLoad: 0.02,
    peers: [
      {
        peer: 'PyTorch float32',
        layout: 'channels_last',
        ...timesOf([400, 500, 450]),
        imagesPerSecond: 8000 / 450,
        ratio: 2.3,
        ours: timesOf([160, 200, 180]),
        peakMegabytes: 1400,
        backgroundLoad: 0.03,
      },
      { peer: 'onnxruntime-node', error: 'it ended' },
    ],
  }

  test('there is one for each peer, with our rounds beside it, and what went wrong', () => {
    const [first, second, ...more] = caseRecords(found, head)
    expect(first).toMatchObject({
      case: 'D 224x224 batch 8 inference',
      precision: 'float32',
      batch: 8,
      threads: 2,
      imagesPerSecond: 8000 / 180,
      minimumMs: 160,
      medianMs: 180,
      rounds: 3,
      peakMegabytes: 900,
      peer: 'PyTorch float32',
      layout: 'channels_last',
      peerImagesPerSecond: 8000 / 450,
      peerMinimumMs: 400,
      peerMedianMs: 450,
      peerPeakMegabytes: 1400,
      ratio: 2.3,
      goal: 2.4,
      floor: 2.2,
      verdict: 'enough',
      backgroundLoad: 0.03,
      machine,
    })
    expect(second).toMatchObject({ peer: 'onnxruntime-node', error: 'it ended', imagesPerSecond: 8000 / 150 })
    expect(more).toEqual([])
  })

  test('without peers there is one, and an error has one too', () => {
    expect(caseRecords({ ...found, peers: [] }, head)).toMatchObject([{ medianMs: 150, backgroundLoad: 0.02 }])
    expect(caseRecords({ case: exportedCase, peers: [], error: 'no' }, head)).toMatchObject([{ error: 'no', batch: 8 }])
  })

  test('two threads are judged, more are not', () => {
    const scaled = { case: exportedCase, threads: 2, imagesPerSecond: 19, oneThreadImagesPerSecond: 10, scaling: 1.9 }
    expect(scalingRecord(scaled, head)).toMatchObject({ threads: 2, scaling: 1.9, goal: 1.85, verdict: 'reached' })
    expect(scalingRecord({ ...scaled, threads: 8 }, head)).not.toHaveProperty('verdict')
  })
})
