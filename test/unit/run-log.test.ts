import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { AppendFile } from '../../lib/files/append-file.js'
import { readRunLog } from '../../lib/report/log-line.js'
import { runHistoryOf } from '../../lib/report/run-history.js'
import { RunLog } from '../../lib/report/run-log.js'
import { newFolder } from '../setup/folder.js'
import {
  begun,
  comparable,
  empty,
  epochEvent,
  facts,
  perEpoch,
  run,
  stepEvent,
  torn,
  undisturbed,
} from '../setup/run-log.js'

describe('RunLog', () => {
  test('writes events as JSON lines and reads them back', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file)
    run(log, 1, 4)
    log.checkpoint({ step: 4, path: 'checkpoints/step-00000004.safetensors', seconds: 0.5 })
    log.notFinite({ step: 5, at: 5, message: 'conv1_1 is not finite', action: 'skip' })
    log.end({ ended: 'interrupted', message: 'Ctrl-C' })
    await log.sync()
    log.close()

    const texts = readFileSync(file, 'utf8').split('\n')
    expect(texts.pop()).toBe('')
    const values = texts.map((text) => JSON.parse(text))
    expect(values.map(({ event, step }) => `${event} ${step}`)).toEqual([
      'start 0',
      'step 1',
      'step 2',
      'step 4',
      'skipped 4',
      'epoch 4',
      'checkpoint 4',
      'notFinite 5',
      'end 5',
    ])
    for (const { time } of values) expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000)

    const { lines, torn: isTorn } = await readRunLog(file)
    expect(isTorn).toBe(false)
    expect(lines[0]).toMatchObject({ event: 'start', ...facts })
    expect(lines[3]).toMatchObject({ event: 'step', step: 4, epoch: 1, loss: 0.25, images: 10, correct: 4 })
    expect(lines[4]).toMatchObject({ event: 'skipped', epoch: 1, files: [torn] })
    const validation = { count: 8, loss: 0.25, top1: 0.75, top5: 1 }
    expect(lines[5]).toMatchObject({ event: 'epoch', epoch: 1, loss: 1, skipped: 101, refused: 1, validation })
    // a line an epoch, whatever the number of classes
    expect(texts[5]).not.toMatch(/confusion|perClass/)
    expect(lines[8]).toMatchObject({ event: 'end', step: 5, ended: 'interrupted', message: 'Ctrl-C' })
  })

  test('each line is in the file when the call returns', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file)
    for (let step = 2; step <= 8; step += 2) {
      log.step(stepEvent(step))
      expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`"step":${step},[^\\n]*}\\n$`))
    }
    log.close()
  })

  // wherever it was killed: in an epoch, at its end with and without the epoch's checkpoint, before the first checkpoint
  test.each([
    { killed: 7, from: { step: 5, epochs: 1 } },
    { killed: 9, from: { step: 5, epochs: 1 } },
    { killed: 8, from: { step: 8, epochs: 1 } },
    { killed: 8, from: { step: 8, epochs: 2 } },
    { killed: 3, from: { step: 0, epochs: 0 } },
    { killed: 12, from: { step: 4, epochs: 1 } },
  ])('killed after step $killed and resumed from $from: like an uninterrupted log', async ({ killed, from }) => {
    const file = path.join(newFolder(), 'log.jsonl')
    const first = await begun(file)
    run(first, 1, killed)
    if (killed === 12) first.end({ ended: 'epochs' })
    first.close()
    appendFileSync(file, '{"event":"step","time":"2026-11-2')

    const second = await begun(file, from)
    // the checkpoint was made before the end of the epoch
    if (from.step === from.epochs * perEpoch + perEpoch) second.epoch(epochEvent(from.epochs + 1, [torn, empty]))
    run(second, from.step + 1, 12)
    second.end({ ended: 'epochs', seconds: 9, imagesPerSecond: 100 })
    second.close()

    expect(await comparable(file)).toEqual(await undisturbed())
    const { lines } = await readRunLog(file)
    expect(lines.filter(({ event }) => event === 'resume')).toMatchObject([{ step: from.step, ...facts }])
  })

  test('a training that went back before it was killed: the repeated steps stay', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file)
    run(log, 1, 3)
    log.checkpoint({ step: 2, path: 'x' })
    run(log, 4, 7)
    log.notFinite({ at: 8, message: 'conv1_1', action: 'back' })
    run(log, 3, 5)
    log.checkpoint({ step: 4, path: 'y' })
    run(log, 6, 6)
    log.close()
    const again = await begun(file, { step: 5, epochs: 1 })
    again.close()
    const { lines } = await readRunLog(file)
    expect(lines.map(({ event, step }) => `${event} ${step}`)).toEqual([
      ...['start 0', 'step 1', 'step 2', 'checkpoint 2', 'step 4', 'skipped 4', 'epoch 4', 'step 6', 'notFinite 2'],
      ...['step 4', 'epoch 4', 'checkpoint 4', 'resume 5'],
    ])
    // of the steps done twice, the later ones count
    const course = runHistoryOf({ lines, torn: false, damaged: [] })
    expect(course.steps.map(({ step }) => step)).toEqual([1, 2, 4])
    expect(course.epochs).toEqual([lines[10]])
    expect(course).toMatchObject({ notFinite: [{ at: 8, action: 'back' }], skipped: [torn], resumes: [{ step: 5 }] })
  })

  // test/safety/report.test.ts found it: the history of such a log was computed for ever
  test('a step 0, which no training has, is read as one that is first', () => {
    const time = ''
    const step = {
      event: 'step',
      time,
      epoch: 1,
      loss: 1,
      images: 1,
      correct: 0,
      learningRate: 0,
      imagesPerSecond: 1,
    } as const
    const lines = [1, 0, 2].map((number) => ({ ...step, step: number }))
    expect(runHistoryOf({ lines, torn: false, damaged: [] }).steps).toEqual(lines.slice(1))
  })

  test('an existing log is not written to without `from`', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    writeFileSync(file, 'somebody else')
    await expect(RunLog.open(file)).rejects.toMatchObject({ code: 'FILE_WRITE' })
    await expect(RunLog.open(file, { from: { step: 1, epochs: 0 } })).resolves.toBeDefined()
    writeFileSync(file, 'nonsense\n{"event":"end"}\n')
    const again = await RunLog.open(file, { from: { step: 1, epochs: 0 } })
    again.close()
    expect(again.notice).toBe(`skipped damaged lines of ${file}: 1, 2; the original log is kept as ${file}.left`)
    expect(readFileSync(`${file}.left`, 'utf8')).toBe('nonsense\n{"event":"end"}\n')
  })

  test('a training whose first line a power failure took begins its log, with a start', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    writeFileSync(file, '')
    const log = await begun(file, { step: 0, epochs: 0 })
    run(log, 1, 12)
    log.end({ ended: 'epochs', seconds: 9, imagesPerSecond: 100 })
    log.close()
    expect(await comparable(file)).toEqual(await undisturbed())
  })

  test('a missing log does not keep a training from being resumed', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file, { step: 4, epochs: 1 })
    run(log, 5, 6)
    log.close()
    expect((await readRunLog(file)).lines.map(({ event, step }) => [event, step])).toEqual([
      ['resume', 4],
      ['step', 6],
    ])
  })

  test('lines of a newer version are kept and not read', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file)
    log.close()
    const text = '{"event":"weather","time":"2030-01-01T00:00:00Z","rain":true}\n'
    appendFileSync(file, text)
    const again = await begun(file, { step: 0, epochs: 0 })
    again.close()
    expect(readFileSync(file, 'utf8')).toContain(text)
    expect((await readRunLog(file)).lines.map(({ event }) => event)).toEqual(['start', 'resume'])
  })

  test.each([
    { text: '{"event":"step"}\n{"event":"end"}\n', message: /line 1: Expected a string for time/ },
    { text: '[]\n\n', message: /line 1: Expected a JSON object/ },
    { text: '{"event":"end"', message: undefined },
    { text: '\0\0\0', message: undefined },
    { text: '', message: undefined },
    { text: '{"event":"constructor"}\n', message: undefined },
  ])('reads or rejects $text', async ({ text, message }) => {
    const file = path.join(newFolder(), 'log.jsonl')
    writeFileSync(file, text)
    if (message === undefined) return expect((await readRunLog(file)).lines).toEqual([])
    await expect(readRunLog(file)).rejects.toMatchObject({ code: 'FILE_FORMAT', message })
  })

  test('a loss that is not a number is null in JSON, and NaN when read', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    const log = await begun(file)
    log.step({ ...stepEvent(2), loss: Number.NaN })
    log.close()
    expect((await readRunLog(file)).lines[1]).toMatchObject({ event: 'step', loss: Number.NaN })
  })

  test('rejects misspelt options, a missing log and a closed one', async () => {
    const file = path.join(newFolder(), 'log.jsonl')
    await expect(RunLog.open(file, { everyStep: 2 } as object)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(RunLog.open(file, { everySteps: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(readRunLog(file)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: `There is no log at ${file}`,
    })
    await expect(RunLog.open(path.join(file, 'x', 'y'))).rejects.toMatchObject({ code: 'FILE_WRITE' })
    const log = await begun(file)
    log.close()
    log.close()
    expect(() => log.step(stepEvent(2))).toThrow(/was closed/)
  })
})

test('a line that does not fit on the disk is not written in part', () => {
  const file = path.join(newFolder(), 'log.jsonl')
  const source = `
    import { AppendFile } from '${new URL('../../lib/files/append-file.ts', import.meta.url).pathname}'
    const file = new AppendFile(${JSON.stringify(file)}, 'new')
    const line = new TextEncoder().encode('x'.repeat(299) + '\\n')
    try {
      for (let count = 0; count < 10; count++) file.append(line)
    } catch (error) {
      console.log(error.code, error.message)
    }`
  // at most 1 KiB a file: three lines, and a part of the fourth
  const limited = ['-c', 'ulimit -f 1; trap \'\' XFSZ; exec "$@"', '-', process.execPath, '--import', 'tsx']
  const { stdout, stderr } = spawnSync('bash', [...limited, '--input-type=module', '-e', source], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^FILE_WRITE Could not write .*log\.jsonl: the file would be larger than the system allows/)
  expect(readFileSync(file, 'utf8')).toBe(`${'x'.repeat(299)}\n`.repeat(3))
})

// every write to it ends with ENOSPC
test.skipIf(!existsSync('/dev/full'))('a full disk is an error that names the file', () => {
  const file = new AppendFile('/dev/full', 'existing')
  expect(() => file.append(new Uint8Array(10))).toThrow(
    expect.objectContaining({
      code: 'FILE_WRITE',
      message: expect.stringMatching(/\/dev\/full: no space left on the device/),
    }),
  )
  file.close()
})
