// `gpu-check --part first` from start to end, on a stand-in for a GPU and with networks that are small: whatever happens to a part,
// the others report.
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { pathOf } from '../../lib/platform/wheels/python.mjs'
import { summaryOf } from '../../scripts/gpu/first/summary.mjs'
import { packBuilds } from '../../scripts/gpu/pack.mjs'
import { oneDnnFolder } from '../../scripts/setup/native.mjs'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { buildStandIn } from './stand-in/build.mjs'

interface Part {
  readonly name: string
  readonly seconds?: number
  readonly words: readonly string[]
  readonly cache?: string
  readonly environment?: Readonly<Record<string, string>>
}

const usual: readonly Part[] = JSON.parse(readFileSync(path.join(root, 'scripts/gpu/first/parts.json'), 'utf8'))
const small = [
  '--variant',
  'A',
  '--image-size',
  '32',
  '--width',
  '0.125',
  '--head-width',
  '32',
  '--batch',
  '3',
  '--milliseconds',
  '1',
]

/** A part of the usual table with further words, few plans, and time enough on a busy machine. */
const part = (name: string, words: readonly string[] = []): Part => {
  const found = usual.find((each) => each.name === name)!
  const environment = { ...found.environment, VGGNET_CUDA_PLANS: '1' }
  return { ...found, seconds: 600, words: [...found.words, ...words], environment }
}
const program = (name: string, source: string, seconds: number): Part => ({ name, seconds, words: ['-e', source] })
const hangs = program('hangs', "console.log('started'); setInterval(() => {}, 1000)", 60)

let standIn: Readonly<Record<string, string>>
beforeAll(async () => {
  standIn = await buildStandIn(root, 'release')
})

interface Line {
  readonly part: string
  readonly name: string
  readonly state?: string
  readonly seconds?: number
  readonly error?: string
  readonly ms?: number
  readonly imagesPerSecond?: number
  readonly rows?: readonly { readonly name: string }[]
}

interface Started {
  readonly child: ChildProcess
  readonly out: string
  /** Lines of first.jsonl that are known by now. */
  lines(): Line[]
  readonly ended: Promise<{ code: number | null; output: string; errors: string }>
}

function start(parts: readonly Part[], extra: Partial<{ root: string; env: object }> = {}): Started {
  const folder = newFolder()
  const [table, out] = ['table.json', 'out'].map((name) => path.join(folder, name)) as [string, string]
  writeFileSync(table, JSON.stringify(parts))
  const words = ['--part', 'first', '--table', table, '--out', out, '--seconds', '6000']
  const cache = { VGGNET_CACHE: process.env.VGGNET_CACHE }
  const env = { ...process.env, ...cache, ...standIn, ...extra.env } as NodeJS.ProcessEnv
  const program = path.join(extra.root ?? root, 'scripts', 'gpu-check')
  const child = spawn(program, ['--node', process.execPath, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  const ended = Promise.all([closed, text(child.stdout), text(child.stderr)])
  const file = path.join(out, 'first.jsonl')
  return {
    child,
    out,
    lines: () =>
      (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []).map((line) => JSON.parse(line)),
    ended: ended.then(([code, output, errors]) => ({ code, output, errors })),
  }
}

const statesOf = (lines: readonly Line[]) =>
  Object.fromEntries(lines.filter(({ name }) => name === 'end').map((line) => [line.part, line.state]))
const named = (lines: readonly Line[], part: string, name: string) =>
  lines.filter((line) => line.part === part && line.name === name)

test('every part reports, also after one that hangs and one that crashes', async () => {
  const plan = { kind: 'convolution', graph: 'forward 3x3', plan: 'engine 1', ms: 0.5, tflops: 400, build_s: 1 }
  const plans = [
    plan,
    { ...plan, refused: 'not right' },
    { ...plan, chosen: true, searched: 2, offered: 9, seconds: 3 },
  ]
  const log = `require('node:fs').appendFileSync(process.env.VGGNET_CUDA_LOG, ${JSON.stringify(plans.map((each) => `${JSON.stringify(each)}\n`).join(''))})`
  const { ended, lines, out } = start([
    { ...hangs, seconds: 3 },
    part('smoke'),
    part('training', small),
    program('crashes', "process.kill(process.pid, 'SIGSEGV')", 5),
    part('inference', small),
    program('plans', log, 5),
    { ...part('tests'), words: [...part('tests').words.slice(0, 6), 'test/device/dropout.test.ts'] },
    part('PyTorch', ['--python', path.join(root, 'no-python')]),
    program('endurance', '', 5),
  ])
  const { code, output } = await ended
  const found = lines()
  expect(statesOf(found), output).toEqual({
    smoke: 'done',
    hangs: 'time limit',
    training: 'done',
    crashes: 'ended by SIGSEGV',
    inference: 'done',
    plans: 'done',
    tests: 'done',
    PyTorch: 'done',
    endurance: 'done',
  })
  expect(code).toBe(1)
  expect(named(found, 'smoke', 'small net')).toMatchObject([{ device: 'cuda:0', precision: 'bf16' }])
  expect(named(found, 'training', 'stages')[0]?.rows?.map(({ name }) => name)).toContain('conv5_2+pool5')
  for (const name of ['queued', 'one by one', 'smaller batch'])
    expect(named(found, 'training', name).at(-1)?.ms, name).toBeGreaterThan(0)
  expect(named(found, 'inference', 'queued').at(-1)?.imagesPerSecond).toBeGreaterThan(0)
  expect(named(found, 'smoke', 'plan').length).toBeGreaterThan(4)
  expect(named(found, 'plans', 'plan')).toMatchObject(plans)
  expect(found.filter(({ part, state }) => part === 'tests' && state === 'passed').length).toBeGreaterThan(10)
  expect(named(found, 'PyTorch', 'absent')).toHaveLength(1)

  const summary = readFileSync(path.join(out, 'first.txt'), 'utf8')
  expect(summary.length).toBeLessThan(10_000)
  expect(output.slice(output.indexOf('\nfirst: date')).trim()).toContain(summary.trim())
  expect(output.trimEnd().split('\n').at(-1)).toMatch(/^first: FAILED/)
  for (const words of [
    'hangs: time limit',
    'crashes: ended by SIGSEGV',
    'no PyTorch',
    '1 graphs, 2 plans tried, 1 refused',
  ])
    expect(summary).toContain(words)
  expect(summary).toMatch(/convolutions and pools, forward +\d/)
  expect(
    JSON.parse(readFileSync(path.join(out, 'first.json'), 'utf8')).findings.training.findings.length,
  ).toBeGreaterThan(5)
  expect(readdirSync(out).length).toBeLessThanOrEqual(8)
})

/** Waits until a line of the log says that the part that hangs has started. Returns its process. */
async function hanging({ out }: Started): Promise<void> {
  const log = path.join(out, 'first.log')
  while (!existsSync(log) || !readFileSync(log, 'utf8').includes('\nstarted\n')) await delay(50)
}

test('a call that is stopped tells what it knew', async () => {
  const started = start([program('known', '', 5), hangs, program('later', '', 5)])
  await hanging(started)
  started.child.kill('SIGTERM')
  const { code, output } = await started.ended
  expect(code).toBe(1)
  expect(statesOf(started.lines())).toEqual({
    known: 'done',
    hangs: 'cut off: SIGTERM',
    later: 'not run: SIGTERM',
  })
  expect(output).toContain('hangs: cut off: SIGTERM')
})

test('a call that is killed leaves its findings and no process', async () => {
  const finding =
    "require('node:fs').appendFileSync(process.env.VGGNET_LINES, JSON.stringify({ part: 'finds', name: 'one' }) + '\\n')"
  const pid = "require('node:fs').writeFileSync(process.env.VGGNET_LINES + '.pid', String(process.pid)); "
  const started = start([program('finds', finding, 5), { ...hangs, words: ['-e', pid + hangs.words[1]] }])
  await hanging(started)
  started.child.kill('SIGKILL')
  await started.ended
  expect(named(started.lines(), 'finds', 'one')).toHaveLength(1)
  expect(readFileSync(path.join(started.out, 'first.txt'), 'utf8')).toContain('finds: done')
  const left = Number(readFileSync(path.join(started.out, 'first.jsonl.pid'), 'utf8'))
  // a guard, which outlives the call for a moment, ends it
  while (existsSync(`/proc/${left}`)) await delay(50)
})

const bareTools = ['bash', 'sh', 'dirname', 'tar', 'xz']

/** A checkout with nothing built, and a search path with neither compilers nor Python. */
async function bareMachine() {
  const folder = newFolder()
  const [checkout, tools] = ['checkout', 'tools'].map((name) => path.join(folder, name)) as [string, string]
  const sources = ['lib', 'native', 'scripts', 'bench', 'test', 'package.json', 'package-lock.json', 'CMakeLists.txt']
  const configurations = readdirSync(root).filter((name) => /^(tsconfig|vitest).*/.test(name))
  for (const name of [...sources, ...configurations])
    cpSync(path.join(root, name), path.join(checkout, name), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'))
  mkdirSync(tools)
  for (const name of bareTools) symlinkSync(pathOf(name) ?? name, path.join(tools, name))
  return { checkout, env: { PATH: tools, HOME: folder, XDG_CACHE_HOME: '', VGGNET_ONEDNN_DIR: await oneDnnFolder() } }
}

test('a machine without compilers runs what was packed', async () => {
  const { checkout, env } = await bareMachine()
  mkdirSync(path.join(checkout, '.gpu-carry'))
  await packBuilds(root, path.join(checkout, '.gpu-carry'))
  const { ended, lines } = start(
    [part('smoke'), { ...part('tests'), words: [...part('tests').words.slice(0, 6), 'test/device/dropout.test.ts'] }],
    { root: checkout, env },
  )
  const { output, errors } = await ended
  expect(statesOf(lines()), output + errors).toEqual({ smoke: 'done', tests: 'done' })
  expect(errors).toBe('gpu-check: the binaries come from .gpu-carry\n')
})

test('the summary is short, whatever was found', () => {
  const words = 'a word and another, '.repeat(40)
  const findings = Array.from({ length: 500 }, (_, index) => [
    { part: 'tests', file: 'test/device/x.test.ts', name: words, state: 'failed', error: words },
    {
      part: 'training',
      name: 'plan',
      graph: `${index} ${words}`,
      plan: words,
      chosen: index % 2 === 0,
      refused: words,
    },
    { part: 'training', name: 'error', error: `${words}\n${words}` },
    { part: 'tests', name: 'error', error: words },
    { part: 'training', name: 'queued' },
  ]).flat()
  const results = [{ part: 'training', state: 'time limit', seconds: 1, limit: 1, error: words }]
  const parts = [...results, { part: 'tests' }].map(({ part }) => ({ name: part }))
  const summary = summaryOf({ machine: { card: words }, parts, findings, results })
  expect(summary.length).toBeLessThan(10_000)
  expect(summary).toContain('training: time limit')
  expect(summary).toContain('tests: no end until now')
  expect(summary).toMatch(/\d+ more in first.jsonl\n$/)
})
