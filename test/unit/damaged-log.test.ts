import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { readRunLog } from '../../lib/report/log-line.js'
import { reportPage } from '../../lib/report/page.js'
import { collectReport } from '../../lib/report/report.js'
import { newFolder } from '../setup/folder.js'
import { begun, comparable, run, undisturbed } from '../setup/run-log.js'

/** Where the training is resumed. */
const from = { step: 8, epochs: 2 }

let file = ''
/** The log of a run that was killed after step 12. */
let whole: Buffer
/** Its bytes up to the position, and all. */
let start = 0
let end = 0
beforeEach(async () => {
  file = path.join(newFolder(), 'log.jsonl')
  const log = await begun(file)
  run(log, 1, 12)
  log.close()
  whole = readFileSync(file)
  const epoch = whole.indexOf('"event":"epoch"', whole.indexOf('"step":8'))
  start = whole.indexOf('\n', epoch) + 1
  end = whole.length
})

async function resumed(): Promise<string | undefined> {
  const log = await begun(file, from)
  run(log, from.step + 1, 12)
  log.end({ ended: 'epochs', seconds: 9, imagesPerSecond: 100 })
  log.close()
  return log.notice
}

/** The lines of an undisturbed log, without those that are whole no more in a damaged one. */
async function withoutDamaged(damaged: Buffer): Promise<object[]> {
  const kept = new Set(damaged.toString('latin1').split('\n'))
  const texts = whole.toString('latin1').split('\n')
  return (await undisturbed()).filter((_, index) => {
    const offset = texts.slice(0, index).join('\n').length
    return offset >= start || kept.has(texts[index] ?? '')
  })
}

const replaced = (at: number, length: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at + length)])

/** Damage at a byte. */
const damages: [string, (at: number) => Buffer][] = [
  ['a page of zeros', (at) => replaced(at, 300, Buffer.alloc(300))],
  [
    'a page of zeros from the middle of a line to the middle of the next',
    (at) => replaced(at + 50, 150, Buffer.alloc(150)),
  ],
  ['bytes that are no text', (at) => replaced(at + 20, 40, Buffer.alloc(40, 0xff))],
  ['a string that is not in UTF-8', (at) => replaced(whole.indexOf('"event":"', at) + 9, 1, Buffer.of(0xc3))],
  ['a line cut off in the middle', (at) => replaced(at + 30, whole.indexOf('\n', at) - at - 30, Buffer.alloc(0))],
  ['a line break taken away', (at) => replaced(whole.indexOf('\n', at), 1, Buffer.alloc(0))],
  ['a line break within a line', (at) => replaced(at + 30, 0, Buffer.from('\n'))],
  ['a field that is missing', (at) => replaced(whole.indexOf('"time"', at), 6, Buffer.from('"tame"'))],
]

/** Beginnings of lines from one byte to another. */
function linesFrom(first: number, last: number): number[] {
  const starts: number[] = []
  for (let at = first; at < last; at = whole.indexOf('\n', at) + 1) starts.push(at)
  return starts
}

describe.each(damages)('a log with %s', (_, damage) => {
  test('after the position of the checkpoint is resumed like an undamaged one', async () => {
    const expected = await undisturbed()
    for (const at of linesFrom(start, end - 300)) {
      writeFileSync(file, damage(at))
      await resumed()
      expect(await comparable(file)).toEqual(expected)
    }
  })

  test('before it is resumed without the damaged lines, which are reported; the page is written', async () => {
    for (const at of linesFrom(whole.indexOf('\n') + 1, start - 301)) {
      const bytes = damage(at)
      writeFileSync(file, bytes)
      const { damaged } = await readRunLog(file)
      expect(damaged.length).toBeGreaterThan(0)
      expect(reportPage(await collectReport(path.dirname(file)))).toContain(
        `Damaged lines of the log, which were skipped: ${damaged.join(', ')}.`,
      )
      expect(await resumed()).toBe(
        `skipped damaged lines of ${file}: ${damaged.join(', ')}; the original log is kept as ${file}.left`,
      )
      expect(readFileSync(`${file}.left`).equals(bytes)).toBe(true)
      // files that a damaged line named are named once more
      const others = (lines: object[]) => lines.filter((line) => 'event' in line && line.event !== 'skipped')
      expect(others(await comparable(file))).toEqual(others(await withoutDamaged(bytes)))
      expect((await readRunLog(file)).damaged).toEqual([])
    }
  })
})

test('repeated lines count once', async () => {
  const twice = whole.subarray(whole.indexOf('\n') + 1, start)
  writeFileSync(file, Buffer.concat([whole, twice]))
  expect((await readRunLog(file)).lines).toHaveLength((await undisturbed()).length - 1)
  expect(await resumed()).toBeUndefined()
  expect(await comparable(file)).toEqual(await undisturbed())
  expect(existsSync(`${file}.left`)).toBe(false)
})

test('a log without a readable line is replaced, and the error of the report names file and line', async () => {
  writeFileSync(file, Buffer.from('\0\0\0\n'.repeat(15)))
  await expect(readRunLog(file)).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: `${file}, line 1: Expected a JSON object with an event`,
  })
  expect(await resumed()).toBe(
    `skipped damaged lines of ${file}: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more; the original log is kept as ${file}.left`,
  )
  expect((await readRunLog(file)).lines[0]).toMatchObject({ event: 'resume', step: 8 })
})
