import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'
import { casesOf, seed } from './cases.js'

const count = casesOf({ sample: 2000, whole: 100_000 })
const perChild = 2000
/** KiB of virtual memory of a child, of which Node and the addon take 1.2 GB: what is refused is refused, not computed. */
const virtual = 3_000_000
/** Seconds without a finished case: against hangs only. A case takes some milliseconds. */
const patience = 300

const program = path.join(root, 'test/safety/options-program.mjs')
const repeat = (number: number): string =>
  `node test/safety/options-program.mjs ${seed} ${number} ${number + 1} /dev/null`

interface Ended {
  /** JSON lines of the child: raw errors, and how many cases it did. */
  readonly lines: readonly Record<string, unknown>[]
  readonly code: number | null
  readonly signal: string | null
  /** The case that it began last, with the names of its options. */
  readonly last: string
  readonly stderr: string
}

/** Calls the cases `first` to `end` - 1 in a process of its own. */
async function calls(first: number, end: number): Promise<Ended> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-options-'))
  try {
    const progress = path.join(folder, 'progress')
    const words = [process.execPath, program, seed, first, end, progress].map(String)
    const child = spawn('bash', ['-c', `ulimit -v ${virtual} -c 0; exec "$@"`, 'bash', ...words], {
      // an option that names a folder may make it
      cwd: folder,
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-2000)
    })
    const begun = (): string => {
      try {
        return readFileSync(progress, 'utf8').trim()
      } catch {
        return ''
      }
    }
    let [seen, idle] = ['', 0]
    const watch = setInterval(() => {
      idle = begun() === seen ? idle + 1 : 0
      seen = begun()
      if (idle > patience) child.kill('SIGKILL')
    }, 1000)
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (...found) => resolve(found))
    })
    clearInterval(watch)
    const lines = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
    return { lines, code, signal, last: begun(), stderr }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test(`${count} calls with one or two hostile options (seed ${seed}) end with a result or a VggError`, {
  timeout: 24 * 3_600_000,
}, async () => {
  const faults: unknown[] = []
  for (let first = 0; first < count; ) {
    const end = Math.min(count, first + perChild)
    const { lines, code, signal, last, stderr } = await calls(first, end)
    faults.push(
      ...lines.filter((line) => !('done' in line)).map((line) => ({ ...line, repeat: repeat(Number(line.case)) })),
    )
    first = end
    if (lines.some((line) => 'done' in line)) continue
    const number = Number.parseInt(last, 10)
    faults.push({ ended: signal ?? code, last, stderr, repeat: repeat(number) })
    // a process that does not even start has no case to continue after
    if (Number.isNaN(number)) break
    first = number + 1
  }
  expect(faults).toEqual([])
})
