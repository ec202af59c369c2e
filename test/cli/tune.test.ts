import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type KeptTuning, type TuningInForce, tunedMachine } from '../../lib/platform/kept-tuning.js'
import { native } from '../../lib/platform/native.js'
import { interrupted, vggnet } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

const standard = native().cpuTuning()

/** A cache of the test's own, and its commands. */
function ownCache() {
  const cache = path.join(newFolder(), 'cache')
  const environment = { VGGNET_CACHE: cache, VGGNET_TUNING: '' }
  return {
    cache,
    environment,
    file: path.join(cache, 'tuning.json'),
    tune: (...words: string[]) => vggnet(['tune', ...words], environment),
    inForce: async (change: object = {}): Promise<TuningInForce> => {
      const { code, stdout, stderr } = await vggnet(['tune', '--show', '--json'], { ...environment, ...change })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return JSON.parse(stdout)
    },
  }
}

test('measures sizes, keeps, shows and removes them', async () => {
  const { cache, environment, file, tune, inForce } = ownCache()
  expect(await inForce()).toEqual({
    tuning: standard,
    standard,
    source: 'default',
    file,
    reason: 'there is none: `npx vggnet tune` measures this machine',
  })
  const { code, stdout, stderr } = await tune('--rounds', '1', '--background-load', '100', '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const found = JSON.parse(stdout)
  expect(found).toMatchObject({ kept: true, file, rounds: 1, machine: tunedMachine(), obstacle: '' })
  expect(found.dials.map(({ name }: { name: string }) => name)).toEqual(['ownBlock', 'sharedBlock', 'gradientBlock'])
  for (const { chosen, name, candidates } of found.dials) {
    expect(found.tuning[name]).toBe(chosen)
    expect(candidates).toHaveLength(4)
    for (const { ratio, milliseconds } of candidates) expect(Math.min(ratio, ...milliseconds)).toBeGreaterThan(0)
  }
  const kept: KeptTuning = JSON.parse(readFileSync(file, 'utf8'))
  expect(kept).toMatchObject({ format: 1, machine: tunedMachine(), tuning: found.tuning })
  expect(readdirSync(cache).sort()).toEqual(['binaries.json', 'tuning.json'])

  const changed = { ...standard, gradientBlock: 1 }
  writeFileSync(file, JSON.stringify({ ...kept, tuning: changed }))
  expect(await inForce()).toEqual({ tuning: changed, standard, source: 'kept', file, reason: '' })
  expect(await inForce({ VGGNET_TUNING: 'off' })).toMatchObject({ tuning: standard, reason: 'VGGNET_TUNING=off' })
  const examined = await vggnet(['doctor', '--json'], environment)
  expect(JSON.parse(examined.stdout).tuning).toMatchObject({ tuning: changed, source: 'kept', file })

  expect((await tune('--reset')).stdout).toBe(`Removed ${file}\n`)
  expect(existsSync(file)).toBe(false)
  expect((await tune('--reset')).stdout).toBe(`There is no ${file}\n`)
})

test('keeps nothing above the background load allowed', async () => {
  const { file, tune } = ownCache()
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
  onTestFinished(() => {
    busy.kill('SIGKILL')
  })
  const { code, stdout } = await tune('--rounds', '1', '--background-load', '1')
  expect(stdout).toMatch(/Nothing is kept: other programs took [\d.]+ % of the machine meanwhile, and up to 1 % /)
  expect(stdout).toMatch(/^512\.0 KiB .* default/m)
  expect({ code, kept: existsSync(file) }).toEqual({ code: 1, kept: false })
})

test.each<[string, (kept: KeptTuning) => string, RegExp]>([
  ['damaged', () => '{"format": 1, "mach', /is ignored: it is damaged: not JSON$/],
  [
    'of another build',
    (kept) => JSON.stringify({ ...kept, machine: { ...kept.machine, buildId: 'other' } }),
    /is ignored: it belongs to another build: "other", not /,
  ],
  [
    'out of range',
    (kept) => JSON.stringify({ ...kept, tuning: { ...standard, gradientBlock: 1000 } }),
    /is ignored: Expected gradientBlock from 0\.125 to 16 /,
  ],
  [
    'far too long',
    (kept) => JSON.stringify(kept) + ' '.repeat(100_000),
    /is ignored: it is damaged: more than 4096 bytes$/,
  ],
])('a file that is %s is ignored with a reason', async (_, damage, reason) => {
  const { cache, file, inForce } = ownCache()
  mkdirSync(cache, { recursive: true })
  const kept = { format: 1, machine: tunedMachine(), measured: '', tuning: { ...standard, gradientBlock: 1 } } as const
  writeFileSync(file, damage(kept))
  expect(await inForce()).toMatchObject({ tuning: standard, source: 'default', reason: expect.stringMatching(reason) })
})

test('a pipe instead of the file is ignored without blocking', async () => {
  const { cache, file, inForce } = ownCache()
  mkdirSync(cache, { recursive: true })
  execFileSync('mkfifo', [file])
  expect((await inForce()).reason).toMatch(/is ignored: it is damaged: not JSON$/)
})

test('a folder instead of the file is ignored with a reason', async () => {
  const { file, inForce } = ownCache()
  mkdirSync(file, { recursive: true })
  expect((await inForce()).reason).toMatch(/is ignored: EISDIR/)
})

test('Ctrl-C leaves the file unchanged', async () => {
  const { cache, environment, file } = ownCache()
  mkdirSync(cache, { recursive: true })
  writeFileSync(file, 'as it was')
  // once the addon is loaded the command is about to measure, for half a minute
  const { code, stdout, stderr } = await interrupted(['tune', '--background-load', '100'], environment)
  expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: '', stderr: `Interrupted; ${file} is unchanged\n` })
  expect(readFileSync(file, 'utf8')).toBe('as it was')
  expect(readdirSync(cache).sort()).toEqual(['binaries.json', 'tuning.json'])
})

test.each([
  ['--rounds', '0'],
  ['--background-load', '200'],
  ['--show', '--reset'],
  ['--show', '--rounds', '3'],
  ['--rounds', 'many'],
])('%s %s is wrong use', async (...words) => {
  const { file, tune } = ownCache()
  const { code, stderr } = await tune(...words)
  expect(stderr).toMatch(/^vggnet: INVALID_ARGUMENT: [^\n]+\n$/)
  expect({ code, kept: existsSync(file) }).toEqual({ code: 2, kept: false })
})
