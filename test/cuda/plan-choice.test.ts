import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { buildStandIn } from './stand-in/build.mjs'

let program = ''
beforeAll(async () => {
  const { VGGNET_CUDA_BINARY = '' } = await buildStandIn(root, 'release')
  program = path.join(path.dirname(VGGNET_CUDA_BINARY), 'choice')
})

const directions = ['forward', 'input-gradient', 'weight-gradient'] as const

function choose(plans: string, { cache = newFolder(), direction = 'forward', fallback = '-', env = {} } = {}): string {
  const environment = { ...process.env, VGGNET_CACHE: cache, ...env }
  return execFileSync(program, [direction, plans, fallback], { env: environment, encoding: 'utf8' }).trim()
}

const filesIn = (cache: string): string[] => {
  const folder = path.join(cache, 'plans')
  return existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : []
}

describe('the plan of a convolution', () => {
  test.each(directions)('is the fastest right one: %s', (direction) => {
    const plans = 'slow,wrong,zero,unfinished,fails,unbuildable,right,slow'
    expect(choose(plans, { direction })).toBe(
      'built slow,wrong,zero,unfinished,fails,right,slow; restored ; chosen right',
    )
  })

  test('has right sums too', () => {
    const direction = 'input-gradient'
    expect(choose('wrong-sums,slow', { direction })).toMatch(/chosen slow$/)
  })

  test('keeps NaN', () => {
    expect(choose('max-relu,slow')).toBe('built max-relu,slow; restored ; chosen slow')
    expect(choose('max-relu,slow', { direction: 'weight-gradient' })).toMatch(/chosen max-relu$/)
  })

  test('has its ReLU apart where none keeps NaN, and the next process knows it', () => {
    const cache = newFolder()
    expect(choose('max-relu', { cache })).toBe('built max-relu; restored ; chosen max-relu, relu apart')
    expect(choose('max-relu', { cache })).toBe('built ; restored max-relu; chosen max-relu, relu apart')
    expect(filesIn(cache)).toHaveLength(2)
  })

  test.each(['-', 'unbuildable', 'wrong,fails'])(
    'comes from the fallback where the first heuristics have none: %s',
    (plans) => {
      expect(choose(plans, { fallback: 'right' })).toMatch(/chosen right$/)
    },
  )

  test('is looked for among VGGNET_CUDA_PLANS', () => {
    const env = { VGGNET_CUDA_PLANS: '2' }
    // several threads build: a third may be built too, and is left out
    expect(choose('slow,unbuildable,wrong,right', { env })).toMatch(
      /^built slow,wrong(,right)?; restored ; chosen slow$/,
    )
    expect(choose('right', { env: { VGGNET_CUDA_PLANS: 'few' } })).toBe(
      "INVALID_ARGUMENT: VGGNET_CUDA_PLANS must be a number from 1, not 'few'",
    )
  })

  test('is not there: every plan is named, with what is wrong', () => {
    const message = choose('wrong,unfinished', { fallback: 'fails,unbuildable' })
    expect(message).toMatch(
      /^INTERNAL: cuDNN has no plan that is right for forward n2 c8 h6 w5 k16 3x3 p1 float32 bias;/,
    )
    expect(message).toMatch(/; wrong: result wrong by 1\.00e-03, allowed is 1\.00e-04/)
    expect(message).toMatch(/; unfinished: result not finite in \d+ positions/)
    expect(message).toMatch(/; fails: does not run; unbuildable: cannot be built$/)
  })

  test('is not looked for on a card that is lost', () => {
    expect(choose('loses,right')).toBe('DEVICE_LOST: the card is lost')
  })
})

describe('a plan on disk', () => {
  test('is taken, and no other is tried', () => {
    const cache = newFolder()
    expect(choose('slow,right', { cache })).toBe('built slow,right; restored ; chosen right')
    expect(choose('slow,right', { cache })).toBe('built ; restored right; chosen right')
    expect(filesIn(cache)).toHaveLength(1)
  })

  test('is one for each graph', () => {
    const cache = newFolder()
    for (const direction of directions) choose('right', { cache, direction })
    expect(filesIn(cache)).toHaveLength(3)
  })

  test.each(['wrong', 'fails', 'unreadable'])('is checked, and chosen again where it is bad: %s', (restored) => {
    const cache = newFolder()
    choose('slow', { cache })
    const env = { RESTORED: restored }
    expect(choose('slow,right', { cache, env })).toBe('built slow,right; restored slow; chosen right')
    expect(choose('slow,right', { cache })).toBe('built ; restored right; chosen right')
  })

  // every byte: of the magic, of the key with its length, of the plan, of the sum
  test('is not there when it is damaged, cut short or another, and is written again', () => {
    const cache = newFolder()
    choose('right', { cache })
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
      expect(choose('slow,right', { cache })).toBe('built slow,right; restored ; chosen right')
      expect(readFileSync(file).equals(good)).toBe(true)
    }
  })

  test('does without a folder that cannot be made, read or written', () => {
    const none = path.join(newFolder(), 'file')
    writeFileSync(none, '')
    const locked = newFolder()
    chmodSync(locked, 0o500)
    for (const cache of [none, locked, '/proc/no/such/position'])
      expect(choose('right', { cache })).toMatch(/chosen right$/)
    const cache = newFolder()
    choose('right', { cache })
    const [file = ''] = filesIn(cache)
    execFileSync('rm', [file])
    mkdirSync(file)
    expect(choose('right', { cache })).toMatch(/^built right; .* chosen right$/)
    expect(filesIn(cache)).toEqual([file])
    expect(statSync(file).isDirectory()).toBe(true)
  })

  test('need not be: a plan that cannot be serialized is used all the same', () => {
    const cache = newFolder()
    expect(choose('kept-nowhere', { cache })).toMatch(/chosen kept-nowhere$/)
    expect(filesIn(cache)).toEqual([])
  })

  test('lies in the cache of the user', () => {
    const home = newFolder()
    const lies = (env: NodeJS.ProcessEnv, folder: string) => {
      choose('right', { cache: '', env })
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
    expect(choose('slow', { cache })).toBe('built ; restored right; chosen right')
  })
})
