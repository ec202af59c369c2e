import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { countText, tableLines } from '../../lib/table.js'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { casesOf, seed } from './cases.js'
import type { Counts, Failure } from './read-files.js'

const cases = casesOf({ sample: 8000, whole: 1_000_000 })
const program = 'test/safety/read-files.ts'
/** Files that one process reads. */
const casesAtOnce = 20_000
/** Failures after which the campaign ends. */
const mostFailures = 20

/** Reads the files of some cases in a process of its own: its failures and counts, and the case to continue with. */
async function read(from: number, to: number, progress: string) {
  const words = ['--no-warnings', '--max-old-space-size=1024', '--import', 'tsx', program, seed, from, to]
  const child = spawn(process.execPath, words.map(String), {
    cwd: root,
    env: { ...process.env, VGGNET_PROGRESS: progress },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const failures: Failure[] = []
  let counts: Counts | undefined
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2000)
  })
  for await (const line of createInterface(child.stdout)) {
    const printed = JSON.parse(line) as Counts | Failure
    if ('problem' in printed) failures.push(printed as Failure)
    else counts = printed as Counts
  }
  if (counts !== undefined) return { failures, counts, next: to }
  const last = Number(readFileSync(progress, 'utf8'))
  const problem = `the process ended (${child.signalCode ?? child.exitCode}): ${errors}`
  failures.push({ case: last, format: '', problem })
  return { failures, counts: {}, next: last + 1 }
}

/** Adds the counts of a process. */
function add(sum: Counts, counts: Counts): void {
  for (const [name, one] of Object.entries(counts)) {
    const before = sum[name]
    if (before === undefined) {
      sum[name] = one
      continue
    }
    for (const key of ['files', 'accepted', 'equal', 'total'] as const) before[key] += one[key]
    for (const key of ['seconds', 'bytes'] as const) before[key] = Math.max(before[key], one[key])
    for (const [code, count] of Object.entries(one.refused)) before.refused[code] = (before.refused[code] ?? 0) + count
  }
}

const titles = ['format', 'files', 'read', 'as the whole file', 'refused', 'mean ms', 'longest s', 'MB beyond 10x']

const rowsOf = (counts: Counts): string[][] =>
  Object.entries(counts).map(([name, { files, accepted, equal, refused, total, seconds, bytes }]) => [
    ...[name, countText(files), countText(accepted), countText(equal)],
    Object.entries(refused)
      .map(([code, count]) => `${code} ${countText(count)}`)
      .join(', '),
    ...[((1000 * total) / files).toFixed(1), seconds.toFixed(2), (bytes / 1e6).toFixed(0)],
  ])

test('a mutated file is read or refused with a code: no raw error, crash, hang, silent change or excess of memory', async () => {
  const progress = path.join(newFolder(), 'progress')
  const sum: Counts = {}
  const failures: Failure[] = []
  for (let from = 0; from < cases && failures.length < mostFailures; ) {
    const part = await read(from, Math.min(cases, from + casesAtOnce), progress)
    failures.push(...part.failures)
    add(sum, part.counts)
    from = part.next
  }
  console.log(`${countText(cases)} files, seed ${seed}`)
  const columns = titles.map(
    (title, index) => ({ title, align: index === 0 || index === 4 ? 'left' : 'right' }) as const,
  )
  console.log(tableLines(columns, rowsOf(sum)).join('\n'))
  const repeated = failures.map((failure) => {
    const command = `node --import tsx ${program} ${seed} ${failure.case} ${failure.case + 1}`
    return `case ${failure.case} ${failure.format}: ${failure.problem}\n  repeat: ${command}`
  })
  expect(repeated).toEqual([])
  expect(Object.values(sum).reduce((files, one) => files + one.files, 0)).toBe(cases)
}, 7_200_000)
