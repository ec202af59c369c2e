import { rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Random } from '../../lib/random.js'
import { start } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { casesOf, seed } from './cases.js'
import { leftIn, writeRun } from './run.js'

const kills = casesOf({ sample: 6, whole: 1000 })
const again = `VGGNET_SEED=${seed} VGGNET_CASES=${kills} npm run test:long -- safety/kill`

/** Runs the program in a folder until it ends, or is killed so many milliseconds after it is ready. */
async function ranIn(folder: string, delay = Number.POSITIVE_INFINITY) {
  const { child, ended } = start('test/safety/run-program.mjs', [folder])
  const ready = new Promise<number>((resolve) => child.stdout.once('data', () => resolve(performance.now())))
  if (Number.isFinite(delay)) {
    void ready.then(() => pause(delay)).then(() => child.kill('SIGKILL'))
  }
  const { code, stdout, stderr } = await ended
  const wasKilled = child.signalCode === 'SIGKILL'
  if (!wasKilled) expect({ code, stderr, again }).toEqual({ code: 0, stderr: '', again })
  return { wasKilled, stdout, milliseconds: performance.now() - (await ready) }
}

function clear(folder: string): void {
  for (const part of ['run', 'cache']) rmSync(path.join(folder, part), { recursive: true, force: true })
}

test(`a run that is killed ${kills} times at random moments leaves the files and the log of one that is not`, async () => {
  const folder = newFolder()
  await writeRun(folder, 4)
  const { milliseconds } = await ranIn(folder)
  const expected = await leftIn(folder)
  const random = new Random(seed)
  let [killed, most] = [0, 0]
  clear(folder)
  for (;;) {
    // chains of few kills reach the end, long ones begin over and over
    if (most === 0) most = 1 + random.integer(8)
    const delay = killed < kills && most > 1 ? random.uniform(0, milliseconds) : undefined
    const { wasKilled, stdout } = await ranIn(folder, delay)
    expect(stdout, again).not.toMatch(/skipped|damaged/)
    most--
    if (wasKilled) {
      killed++
      continue
    }
    most = 0
    const left = await leftIn(folder)
    expect([...left.files.keys()], again).toEqual([...expected.files.keys()])
    for (const [name, bytes] of expected.files)
      expect(left.files.get(name)?.equals(bytes), `${name}: ${again}`).toBe(true)
    expect(left.log, again).toEqual(expected.log)
    if (killed === kills) return
    clear(folder)
  }
}, 14_400_000)
