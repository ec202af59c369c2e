import { describe, expect, test } from 'vitest'
import {
  type Case,
  cpuCases,
  exportedCase,
  goalResult,
  goalsOf,
  gpuCases,
  sameCase,
  scalingCases,
} from '../../bench/cases.js'
import { namedCase, readFlags, wantsBaselines } from '../../bench/flags.js'
import type { CaseFound } from '../../bench/measure.js'
import { caseLines, caseRecords, scalingRecord } from '../../bench/tables.js'
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

  test('asks for baselines by a flag, and in the cases that have goals', () => {
    expect(wantsBaselines(read())).toBe(true)
    expect(wantsBaselines(read('--batch', '2'))).toBe(false)
    expect(wantsBaselines(read('--batch', '2', '--peers'))).toBe(true)
    expect(wantsBaselines(read('--batch', '2', '--peer', 'python3'))).toBe(true)
    expect(wantsBaselines(read('--alone'))).toBe(false)
    expect(wantsBaselines(read('--scaling'))).toBe(false)
  })

  test('takes a file or none for --json, a folder or none for --peers, and seven rounds by default', () => {
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
    // background load slows both down in the second and third round
    const [ours, theirs] = [timesOf([10, 40, 30]), timesOf([20, 80, 90])]
    expect(medianRatio(ours, theirs)).toBe(2)
    expect(theirs.medianMs / ours.medianMs).toBeCloseTo(2.67)
  })

  test('alternate between the contenders, and have a background load each', async () => {
    const order: string[] = []
    const contender = (name: string, time: number) => ({
      round: async () => {
        order.push(name)
        return time
      },
    })
    const contenders = [contender('a', 1), contender('b', 2)] as const
    const { times, backgroundLoads } = await interleaved(contenders, { rounds: 2, milliseconds: 0 })
    expect(order).toEqual(['a', 'b', 'a', 'b'])
    expect(times[1]).toEqual({ minimumMs: 2, medianMs: 2, roundsMs: [2, 2] })
    expect(backgroundLoads).toHaveLength(4)
  })

  test('end before one that is not wanted', async () => {
    const wanted = (round: number) => round < 3
    const { times } = await interleaved([{ round: async () => 1 }], { rounds: 5, milliseconds: 0, wanted })
    expect(times[0].roundsMs).toEqual([1, 1, 1])
  })
})

describe('goals', () => {
  const of = (one: Case, device = 'cpu') =>
    goalsOf(one, device).map(({ peer, ratio, floor }) => `${peer} ${ratio} ${floor}`)

  test('are those of the four cases on the CPU', () => {
    expect(cpuCases.map((one) => of(one))).toEqual([
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

  test('are those of three cases on a GPU', () => {
    expect(gpuCases.flatMap((one) => of(one, 'cuda:0'))).toEqual([
      'PyTorch compile 1.25 1.25',
      'PyTorch compile 1.15 1.15',
      'PyTorch graphs 1.3 1.3',
    ])
  })

  test('also belong to a case that is named by flags', () => {
    const named = namedCase(readFlags(['--mode', 'inference']))
    expect(named && sameCase(named, exportedCase)).toBe(true)
    expect(of({ ...exportedCase, headWidth: 512 })).toEqual([])
  })

  test('are reached, or only their floor, or missed; under background load there is no result', () => {
    const goal = { ratio: 3, floor: 2.6 }
    const results = [3, 2.99, 2.6, 2.59].map((ratio) => goalResult(ratio, goal, 0.15))
    expect(results).toEqual(['reached', 'enough', 'enough', 'missed'])
    expect([3, 2.59].map((ratio) => goalResult(ratio, goal, 0.16))).toEqual(['disturbed', 'disturbed'])
    expect(goalResult(3, goal, undefined)).toBe('reached')
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

  test('there is one for each baseline, with its rounds and those of vggnet, or with its error', () => {
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

  test('there is one without baselines, and one for an error', () => {
    expect(caseRecords({ ...found, peers: [] }, head)).toMatchObject([{ medianMs: 150, backgroundLoad: 0.02 }])
    expect(caseRecords({ case: exportedCase, peers: [], error: 'no' }, head)).toMatchObject([{ error: 'no', batch: 8 }])
  })

  test('on a GPU they say how the host keeps it busy, and so does the text', () => {
    const queue = { emptyUs: 0, beginUs: 31.25 }
    const onGpu = { ...found, device: 'cuda:0', ours: { ...ours, queue }, peers: [] }
    expect(caseRecords(onGpu, head)).toMatchObject([{ queue }])
    expect(caseLines(onGpu)).toContain('  queue empty for 0.0 us between calls, filled by the host in 31.3 us')
    expect(caseLines(found).join()).not.toContain('queue')
  })

  test('two threads have a goal, more have none', () => {
    const scaled = { case: exportedCase, threads: 2, imagesPerSecond: 19, oneThreadImagesPerSecond: 10, scaling: 1.9 }
    expect(scalingRecord(scaled, head)).toMatchObject({ threads: 2, scaling: 1.9, goal: 1.85, verdict: 'reached' })
    expect(scalingRecord({ ...scaled, threads: 8 }, head)).not.toHaveProperty('verdict')
  })
})
