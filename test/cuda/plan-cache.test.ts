import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { buildChoice, choose, filesIn, linesIn, linesOf } from './choice.js'

let program = ''
beforeAll(async () => {
  program = await buildChoice()
})

const directions = ['forward', 'input-gradient', 'weight-gradient'] as const

describe('a plan on disk', () => {
  test('is taken, and no other is tried', () => {
    const cache = newFolder()
    expect(choose(program, 'slow,right', { cache })).toBe('built slow,right; restored ; chosen right')
    expect(choose(program, 'slow,right', { cache })).toBe('built ; restored right; chosen right')
    expect(filesIn(cache)).toHaveLength(1)
  })

  test('is one for each graph', () => {
    const cache = newFolder()
    for (const direction of directions) choose(program, 'fused/right', { cache, direction })
    expect(filesIn(cache)).toHaveLength(3)
  })

  test.each([
    ['wrong', /^result wrong by /],
    ['fails', /^does not run$/],
    ['unreadable', /^cannot be restored: /],
  ])('is checked, and chosen again where it is bad, with a word: %s', (restored, refused) => {
    const cache = newFolder()
    const log = path.join(newFolder(), 'plans.jsonl')
    choose(program, 'slow', { cache })
    const env = { RESTORED: restored, VGGNET_CUDA_LOG: log }
    expect(choose(program, 'slow,right', { cache, env })).toBe('built slow,right; restored slow; chosen right')
    expect(linesIn(log)[0]).toMatchObject({
      source: 'cache',
      plan: 'slow',
      refused: expect.stringMatching(refused),
    })
    expect(choose(program, 'slow,right', { cache })).toBe('built ; restored right; chosen right')
  })

  test('is chosen again where more are to be tried than then, and only there', () => {
    const cache = newFolder()
    const few = { VGGNET_CUDA_PLANS: '1' }
    expect(choose(program, 'slow,right', { cache, env: few })).toBe('built slow; restored ; chosen slow')
    expect(choose(program, 'slow,right', { cache, env: few })).toBe('built ; restored slow; chosen slow')
    expect(choose(program, 'slow,right', { cache })).toBe('built slow,right; restored ; chosen right')
    expect(choose(program, 'slow,right', { cache, env: few })).toBe('built ; restored right; chosen right')
    // all there are were tried
    expect(choose(program, 'slow,right', { cache, env: { VGGNET_CUDA_PLANS: '99' } })).toMatch(/^built ;/)
  })

  test('is chosen again where there is more time than then, and only there', () => {
    const cache = newFolder()
    const plans = `${Array.from({ length: 20 }, () => 'long').join(',')},right`
    const short = { VGGNET_CUDA_SECONDS: '0' }
    choose(program, plans, { cache, env: short })
    expect(choose(program, plans, { cache, env: short })).toBe('built ; restored long; chosen long')
    expect(choose(program, plans, { cache })).toMatch(/^built long,.*,right; restored ;/)
    expect(choose(program, plans, { cache, env: short })).toMatch(/^built ;/)
  })

  // every byte: of the magic, of the key with its length, of the plan, of the sum
  test('is not there when it is damaged, cut short or another, and is written again', () => {
    const cache = newFolder()
    choose(program, 'slow,right', { cache })
    const [file = ''] = filesIn(cache)
    const good = readFileSync(file)
    const damaged = (at: number) => {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      return bytes
    }
    const bad = [0, 14, 22, 40, good.length - 12, good.length - 1].map(damaged)
    bad.push(good.subarray(0, 0), good.subarray(0, 30), good.subarray(0, -1), Buffer.concat([good, Buffer.from('x')]))
    for (const bytes of bad) {
      writeFileSync(file, bytes)
      expect(choose(program, 'slow,right', { cache })).toBe('built slow,right; restored ; chosen right')
      expect(readFileSync(file).equals(good)).toBe(true)
    }
  })

  test('does without a folder that cannot be made, read or written', () => {
    const none = path.join(newFolder(), 'file')
    writeFileSync(none, '')
    const locked = newFolder()
    chmodSync(locked, 0o500)
    for (const cache of [none, locked, '/proc/no/such/position'])
      expect(choose(program, 'right', { cache })).toMatch(/chosen right$/)
    const cache = newFolder()
    choose(program, 'right', { cache })
    const [file = ''] = filesIn(cache)
    execFileSync('rm', [file])
    mkdirSync(file)
    expect(choose(program, 'right', { cache })).toMatch(/^built right; .* chosen right$/)
    expect(filesIn(cache)).toEqual([file])
    expect(statSync(file).isDirectory()).toBe(true)
  })

  test('need not be: a plan that cannot be serialized is used all the same', () => {
    const cache = newFolder()
    const refused = 'cannot be kept: cannot be serialized'
    expect(linesOf(program, 'kept-nowhere', { cache }).at(-1)).toMatchObject({ source: 'cache', refused })
    expect(filesIn(cache)).toEqual([])
  })

  test('lies in the cache of the user', () => {
    const home = newFolder()
    const lies = (env: NodeJS.ProcessEnv, folder: string) => {
      choose(program, 'right', { cache: '', env })
      expect(existsSync(path.join(home, folder))).toBe(true)
    }
    lies({ HOME: path.join(home, 'a'), XDG_CACHE_HOME: '' }, 'a/.cache/vggnet/plans')
    lies({ HOME: path.join(home, 'b'), XDG_CACHE_HOME: 'not/absolute' }, 'b/.cache/vggnet/plans')
    lies({ HOME: path.join(home, 'c'), XDG_CACHE_HOME: path.join(home, 'd') }, 'd/vggnet/plans')
  })

  test('is written whole when processes write at once', async () => {
    const cache = newFolder()
    const runs = Array.from({ length: 6 }, () => {
      const child = spawn(program, ['forward', 'right', '-'], { env: { ...process.env, VGGNET_CACHE: cache } })
      return new Promise((resolve) => child.on('close', resolve))
    })
    expect(await Promise.all(runs)).toEqual([0, 0, 0, 0, 0, 0])
    expect(filesIn(cache)).toHaveLength(1)
    expect(choose(program, 'slow', { cache })).toBe('built ; restored right; chosen right')
  })

  test('and the record of it come from many processes at once', async () => {
    const log = path.join(newFolder(), 'plans.jsonl')
    const plans = `${Array.from({ length: 200 }, () => 'unbuildable').join(',')},right`
    const runs = Array.from({ length: 6 }, () => {
      const env = { ...process.env, VGGNET_CACHE: newFolder(), VGGNET_CUDA_LOG: log }
      const child = spawn(program, ['forward', plans, '-'], { env })
      return new Promise((resolve) => child.on('close', resolve))
    })
    await Promise.all(runs)
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(6 * 202)
    expect(lines.map((line) => JSON.parse(line)).filter(({ chosen }) => chosen)).toHaveLength(6)
  })
})
