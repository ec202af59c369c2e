// Native code that reads what others have written, fuzzed under AddressSanitizer and UBSan: JPEGs, crops of rescaled images,
// and networks from layers to memory. The sample is a driver of ours with a fixed seed; the whole is clang's libFuzzer, an hour
// for each target (VGGNET_SECONDS), with the libjpeg-turbo whose source VGGNET_LIBJPEG_TURBO_SOURCE names.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, expect, test } from 'vitest'
import { isWhole } from '../setup/amount.js'
import { root } from '../setup/command.js'
import { casesOf, seed } from './cases.js'
import { buildLibFuzzerTargets, buildTargets } from './fuzz/build.mjs'

const runs = { jpeg: 8000, rescale: 2000, layers: 1500 }
const seconds = Number(process.env.VGGNET_SECONDS ?? 3600)
const sources = path.join(root, 'test/safety/fuzz')

let programs: string

beforeAll(async () => {
  programs = await (isWhole ? buildLibFuzzerTargets() : buildTargets())
})

/** A target to its end; an input that ends it stays in crashes/. */
async function ended(target: string, words: readonly string[]) {
  const cwd = path.join(programs, 'crashes')
  mkdirSync(cwd, { recursive: true })
  const program = path.join(programs, target)
  const child = spawn(program, [...words, path.join(sources, 'corpus', target)], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(signal ?? code))
  })
  const [out, errors, status] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { status, printed: `${out}${errors}\nto repeat it: cd ${cwd}; ${program} THE FILE` }
}

/** The words for libFuzzer. What it finds is kept beside its programs, for the next time. */
function libFuzzer(target: string): string[] {
  const found = path.join(programs, 'found', target)
  mkdirSync(found, { recursive: true })
  const dictionary = target === 'jpeg' ? [`-dict=${path.join(sources, 'jpeg.dict')}`] : []
  const limits = ['-timeout=60', '-rss_limit_mb=2048', '-max_len=16384']
  return [`-max_total_time=${seconds}`, ...limits, ...dictionary, '-print_final_stats=1', found]
}

test.each(Object.entries(runs))(
  '%s: whatever the bytes, nothing crashes, leaks or hangs',
  async (target, sample) => {
    const amount = isWhole ? libFuzzer(target) : [`-runs=${casesOf({ sample, whole: sample })}`]
    const { status, printed } = await ended(target, [`-seed=${seed}`, ...amount])
    expect(status, printed.slice(-20_000)).toBe(0)
    expect(printed).toMatch(/Done \d+ runs/)
    if (isWhole) console.log(target, printed.match(/^(?:#\d+\s+DONE|stat::).*$/gm)?.join('\n'))
  },
  (seconds + 600) * 1000,
)
