import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { buildChoice, choose, filesIn, linesIn, linesOf } from './choice.js'

let program = ''
beforeAll(async () => {
  program = await buildChoice()
})

describe('the plan of a convolution', () => {
  test.each(['forward', 'weight-gradient'])('is the fastest right one: %s', (direction) => {
    const plans = 'slow,wrong,zero,unfinished,fails,unbuildable,right,slow'
    expect(choose(program, plans, { direction })).toBe(
      'built slow,wrong,zero,unfinished,fails,right,slow; restored ; chosen right',
    )
  })

  test('is finite beyond the sample, and right when runs follow each other', () => {
    expect(choose(program, 'infinite,slow', { env: { SIDE: '50' } })).toMatch(/chosen slow$/)
    expect(choose(program, 'tires,slow')).toMatch(/chosen slow$/)
    expect(linesOf(program, 'infinite,tires,slow', { env: { SIDE: '50' } }).map(({ refused }) => refused)).toEqual([
      'result not finite outside of the sample',
      'after several runs: result wrong by 1.00e-01, allowed is 2.00e-03',
      undefined,
      undefined,
    ])
  })

  test('has right sums too', () => {
    const plans = 'fused/wrong-sums,mask/slow,plain/unbuildable'
    expect(choose(program, plans, { direction: 'input-gradient' })).toMatch(/chosen mask\/slow \(mask\)$/)
  })

  test('keeps NaN', () => {
    expect(choose(program, 'max-relu,slow')).toBe('built max-relu,slow; restored ; chosen slow')
    expect(choose(program, 'max-relu,slow', { direction: 'weight-gradient' })).toMatch(/chosen max-relu$/)
  })

  test('has its ReLU apart where none keeps NaN, and the next process knows it', () => {
    const cache = newFolder()
    expect(choose(program, 'max-relu', { cache })).toBe('built max-relu,max-relu; restored ; chosen max-relu (bias)')
    expect(choose(program, 'max-relu', { cache })).toBe('built ; restored max-relu; chosen max-relu (bias)')
    expect(filesIn(cache)).toHaveLength(1)
  })

  test.each([
    ['fused/right,mask/slow,plain/slow', 'fused/right'],
    ['fused/slow,mask/right,plain/slow', 'mask/right (mask)'],
    ['fused/slow,mask/slow,plain/right', 'plain/right (plain)'],
    ['fused/unbuildable,mask/wrong,plain/slow', 'plain/slow (plain)'],
    ['fused/slow,mask/fails', 'fused/slow'],
    ['plain/right', 'plain/right (plain)'],
  ])('is that of the fastest alternative which has one: %s', (plans, chosen) => {
    const cache = newFolder()
    const direction = 'input-gradient'
    const answer = choose(program, plans, { direction, cache })
    expect(answer.slice(answer.indexOf('; chosen'))).toBe(`; chosen ${chosen}`)
    expect(choose(program, plans, { direction, cache })).toBe(
      `built ; restored ${chosen.split(' ')[0]}; chosen ${chosen}`,
    )
  })

  test("does without cuDNN's bias and ReLU only as a last resort", () => {
    expect(choose(program, 'fused/slow,bias/right,plain/right')).toBe('built fused/slow; restored ; chosen fused/slow')
    expect(choose(program, 'fused/wrong,bias/slow,plain/right')).toMatch(/chosen bias\/slow \(bias\)$/)
    expect(choose(program, 'bias/fails,plain/slow')).toMatch(/chosen plain\/slow \(plain\)$/)
  })

  test('is the least wrong weight gradient where none is as exact as its sum allows', () => {
    const direction = 'weight-gradient'
    expect(choose(program, 'inexact,slow', { direction })).toMatch(/chosen slow$/)
    const refused = 'result wrong by 1.00e-02, allowed is 2.00e-03'
    const [chosen, ...others] = linesOf(program, 'wrong,inexact', { direction }).filter((line) => line.chosen)
    expect(chosen).toMatchObject({ plan: 'inexact', refused })
    expect(others).toEqual([])
    expect(choose(program, 'inexact', { direction: 'forward' })).toMatch(/INTERNAL: /)
  })

  test('may be off by what tensor cores cut off, which grows with the sum', () => {
    const refusedAt = (side: string) =>
      linesOf(program, 'wrong,slow', { direction: 'weight-gradient', env: { SIDE: side } })[0]?.refused
    expect(refusedAt('6')).toMatch(/allowed is 2\.00e-03$/)
    expect(refusedAt('50')).toMatch(/allowed is 2\.02e-03$/) // 4,900 products, 8 at once
  })

  test('is the first right one in deterministic mode, whatever its time', () => {
    const direction = 'forward,deterministic'
    expect(choose(program, 'wrong,slow,right', { direction })).toBe('built wrong,slow; restored ; chosen slow')
    const plans = 'fused/right,mask/wrong,plain/right'
    expect(choose(program, plans, { direction: 'input-gradient,deterministic' })).toBe(
      'built mask/wrong,plain/right; restored ; chosen plain/right (plain)',
    )
    expect(linesOf(program, 'slow,right', { direction }).map(({ ms }) => ms)).toEqual([undefined, undefined])
  })

  test('does not fail with an exception of a library or of the host', () => {
    expect(choose(program, 'too-large,too-large,right')).toBe('built right; restored ; chosen right')
    expect(choose(program, '!', { fallback: 'right' })).toMatch(/chosen right$/)
  })

  test('is not waited for when the process ends', () => {
    const many = (plan: string) => Array.from({ length: 24 }, () => plan).join(',')
    const message = /; DISPOSED: the JavaScript thread of this network is ending$/
    // each of up to eight threads may have one plan in work
    const built = (answer: string) => answer.slice('built '.length, answer.indexOf(';')).split(',').length
    const whileBuilding = choose(program, `ends-building,${many('waits')}`)
    expect(whileBuilding).toMatch(message)
    expect(built(whileBuilding)).toBeLessThanOrEqual(8)
    const log = path.join(newFolder(), 'plans.jsonl')
    expect(choose(program, `ends-running,${many('slow')}`, { env: { VGGNET_CUDA_LOG: log } })).toMatch(message)
    expect(linesIn(log)).toHaveLength(1)
  })

  test('is on record with all that were tried, a line each', () => {
    const cache = newFolder()
    const plans = 'fused/fails,mask/slow,plain/unbuildable'
    const lines = linesOf(program, plans, { direction: 'input-gradient', cache })
    const graph = 'input-gradient n2 c8 h6 w5 k16 3x3 p1 tf32 mask sums'
    const common = { kind: 'convolution', graph, source: 'search' }
    const number = expect.any(Number)
    const slow = { plan: 'mask/slow', alternative: 'mask', build_s: number, ms: number, tflops: number, error: number }
    const none = { plan: 'fallback', source: 'fallback', build_s: 0, refused: 'no heuristics' }
    expect(lines).toEqual([
      { ...common, plan: 'fused/fails', alternative: 'fused', build_s: number, workspace: 0, refused: 'does not run' },
      { ...common, ...none, alternative: 'fused' },
      { ...common, ...slow, workspace: 0 },
      { ...common, plan: 'plain/unbuildable', alternative: 'plain', build_s: number, refused: 'cannot be built' },
      { ...common, ...none, alternative: 'plain' },
      { ...common, ...slow, workspace: 0, chosen: true, searched: 2, offered: 3, seconds: number },
    ])
    const [again, ...more] = linesOf(program, plans, { direction: 'input-gradient', cache })
    expect(again).toMatchObject({ source: 'cache', plan: 'mask/slow', chosen: true, searched: 2, offered: 3 })
    expect(more).toEqual([])
    const env = { VGGNET_CUDA_LOG: path.join(newFolder(), 'none', 'plans.jsonl') }
    expect(choose(program, 'right', { env })).toMatch(
      /INVALID_ARGUMENT: VGGNET_CUDA_LOG: cannot append to '.*': No such file/,
    )
  })

  test.each(['-', 'unbuildable', 'wrong,fails'])(
    'comes from the fallback where the first heuristics have none: %s',
    (plans) => {
      expect(choose(program, plans, { fallback: 'right' })).toMatch(/chosen right$/)
    },
  )

  test('is looked for among VGGNET_CUDA_PLANS', () => {
    const env = { VGGNET_CUDA_PLANS: '2' }
    expect(choose(program, 'slow,unbuildable,wrong,right', { env })).toBe('built slow,wrong; restored ; chosen slow')
    expect(choose(program, 'wrong,fails,wrong,right', { env })).toBe(
      'built wrong,fails,wrong,right; restored ; chosen right',
    )
    expect(choose(program, 'right', { env: { VGGNET_CUDA_PLANS: 'few' } })).toBe(
      "built ; INVALID_ARGUMENT: VGGNET_CUDA_PLANS must be a number from 1, not 'few'",
    )
  })

  test('is looked for during VGGNET_CUDA_SECONDS, and one of each alternative in any case', () => {
    const long = (name: string) => Array.from({ length: 30 }, () => `${name}/long`).join(',')
    const plans = `${long('fused')},${long('mask')},${long('plain')}`
    const [choice] = linesOf(program, plans, { direction: 'input-gradient', env: { VGGNET_CUDA_SECONDS: '0' } }).filter(
      ({ chosen }) => chosen,
    )
    // each of up to eight threads builds one
    expect(choice).toMatchObject({ offered: 90 })
    expect(choice?.searched).toBeGreaterThanOrEqual(3)
    expect(choice?.searched).toBeLessThanOrEqual(24)
    expect(choose(program, 'right', { env: { VGGNET_CUDA_SECONDS: '-1' } })).toBe(
      "built ; INVALID_ARGUMENT: VGGNET_CUDA_SECONDS must be a number of seconds from 0, not '-1'",
    )
  })

  test('is not there: every plan is named, with what is wrong', () => {
    const message = choose(program, 'wrong,unfinished', { fallback: 'fails,unbuildable' })
    expect(message).toMatch(
      /; INTERNAL: cuDNN has no plan that is right for forward n2 c8 h6 w5 k16 3x3 p1 tf32 bias relu;/,
    )
    expect(message).toMatch(/; wrong: result wrong by 1\.00e-01, allowed is 2\.00e-03/)
    expect(message).toMatch(/; unfinished \(bias\): result not finite in \d+ positions/)
    expect(message).toMatch(/; fails \(plain\): does not run; unbuildable: cannot be built$/)
  })

  test('is not looked for on a card that is lost', () => {
    expect(choose(program, 'loses,right')).toBe('built loses,right; DEVICE_LOST: the card is lost')
    expect(choose(program, 'loses-built,right')).toMatch(/; DEVICE_LOST: the card is lost$/)
  })
})
