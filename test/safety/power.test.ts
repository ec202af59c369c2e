import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { checkpointsIn } from '../../lib/checkpoint/checkpoint-folder.js'
import { Random } from '../../lib/random.js'
import { type RunFile, readRunFile, runFiles } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import { load } from '../../lib/weights/load.js'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { casesOf, seed } from './cases.js'
import { type Change, Disk, readChanges, survivals } from './disk.js'
import { leftIn, writeRun } from './run.js'

const cases = casesOf({ sample: 50, whole: 2000 })

/** Runs Node with these words, and records what it changes in a folder. */
async function recorded(folder: string, words: readonly string[]): Promise<Change[]> {
  const [library, record] = [path.join(newFolder(), 'recorder.so'), path.join(newFolder(), 'record')]
  const source = path.join(root, 'test/safety/recorder.cpp')
  const { status } = spawnSync('g++', ['-std=c++20', '-shared', '-fPIC', '-o', library, source, '-ldl'])
  expect(status).toBe(0)
  const env = { ...process.env, LD_PRELOAD: library, VGGNET_RECORD_ROOT: folder, VGGNET_RECORD_TO: record }
  // writes of io_uring would not pass through the library
  const options = { cwd: root, env: { ...env, UV_USE_IO_URING: '0' }, encoding: 'utf8' } as const
  const { status: code, stderr } = spawnSync(process.execPath, words, options)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return readChanges(record)
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** What the program may rely on, after each change: the steps of reported checkpoints, and whether the model is saved. */
function promisesIn(changes: readonly Change[], folder: string) {
  const disk = new Disk(folder)
  const whole = new Set<string>()
  let [step, unlocked] = [0, 0]
  const steps = changes.map((change) => {
    disk.apply(change)
    const [, to = ''] = change.words.join(' ').split('\t')
    if (to.endsWith('.safetensors')) whole.add(hashOf(disk.content(to)))
    const reported = /"event":"checkpoint".*"step":(\d+)/.exec(change.bytes.toString('latin1'))
    step = Number(reported?.[1] ?? step)
    return step
  })
  unlocked = changes.findLastIndex(
    ({ kind, words }) => kind === 'unlink' && words.join(' ') === path.join(folder, 'run/.lock'),
  )
  return { steps, whole, unlocked }
}

/** Continues the run as a user does after the machine has started again. @returns notices */
async function continued(folder: string): Promise<string[]> {
  const run = path.join(folder, 'run')
  const { description: json } = runFiles(run)
  const description = JSON.parse(readFileSync(path.join(folder, 'description.json'), 'utf8'))
  const file: RunFile = existsSync(json)
    ? await readRunFile(run)
    : await createRun(run, { format: 1, vggnet: '0.1.0', description })
  const notices: string[] = []
  await runAll(run, file, { onNotice: (text) => void notices.push(text) })
  return notices
}

test(`after a power failure at ${cases} points a run continues from what was reported, or later, to the same end`, async () => {
  const folder = newFolder()
  await writeRun(folder, 2)
  const changes = await recorded(folder, ['test/safety/run-program.mjs', folder])
  const expected = await leftIn(folder)
  const { steps, whole, unlocked } = promisesIn(changes, folder)
  expect(steps.at(-1)).toBe(6)
  const points = changes.flatMap(({ kind }, index) => (kind === 'open' ? [] : [index + 1]))
  const random = new Random(seed)
  for (let number = 0; number < cases; number++) {
    const at = points[random.integer(points.length)] ?? 0
    const survival = survivals[random.integer(survivals.length)] ?? 'any'
    const where = `case ${number}, ${survival} after change ${at} of ${changes.length}: VGGNET_SEED=${seed} VGGNET_CASES=${cases} npm run test:long -- safety/power`
    for (const part of ['run', 'cache']) rmSync(path.join(folder, part), { recursive: true, force: true })
    const disk = new Disk(folder)
    for (const change of changes.slice(0, at)) disk.apply(change)
    disk.writeTo(folder, survival, random)

    const { checkpoints, model } = runFiles(path.join(folder, 'run'))
    const [newest] = await checkpointsIn(checkpoints)
    expect(newest?.step ?? 0, where).toBeGreaterThanOrEqual(steps[at - 1] ?? 0)
    for (const name of existsSync(checkpoints) ? readdirSync(checkpoints) : []) {
      if (!/^[^.].*\.safetensors$/.test(name)) continue
      const bytes = readFileSync(path.join(checkpoints, name))
      expect(whole.has(hashOf(bytes)), `${name}: ${where}`).toBe(true)
    }
    expect(existsSync(model) || at <= unlocked, where).toBe(true)
    if (existsSync(model)) (await load(model, { device: 'cpu', threads: 1 })).dispose()

    const notices = await continued(folder).catch((error) => [`${error.code ?? ''} ${error.message}`])
    expect(
      notices.filter((text) => !/damaged lines/.test(text)),
      where,
    ).toEqual([])
    const left = await leftIn(folder)
    for (const [name, bytes] of expected.files) {
      // what is damaged in the cache is found and replaced when it is read
      if (name.startsWith('cache/')) continue
      expect(left.files.get(name)?.equals(bytes), `${name}: ${where}`).toBe(true)
    }
    expect(left.log, where).toEqual(expected.log)
  }
}, 14_400_000)

test('a new log that was synced is on the disk, with its name, and so are new folders', async () => {
  const folder = newFolder()
  const program = `
    import { makeFolder } from '${root}dist/files/atomic-file.js'
    import { RunLog } from '${root}dist/index.js'
    await makeFolder(process.argv[1] + '/a/b')
    const log = await RunLog.open(process.argv[1] + '/a/b/log.jsonl')
    log.start({ model: 'VGG A' })
    await log.sync()
    log.end({ ended: 'epochs' })`
  const changes = await recorded(folder, ['--input-type=module', '-e', program, folder])
  const disk = new Disk(folder)
  for (const change of changes) disk.apply(change)
  rmSync(path.join(folder, 'a'), { recursive: true })
  disk.writeTo(folder, 'none', new Random(seed))
  expect(readFileSync(path.join(folder, 'a/b/log.jsonl'), 'utf8')).toMatch(/^{"event":"start",.*}\n$/)
})
