import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { counts } from './counts.js'
import { type Ended, startProgram } from './program.js'

interface Way {
  readonly way: string
  readonly positions: readonly string[]
  readonly expected: Partial<Ended>
}

const busy = 'busy\n'
const everywhere = ['main', 'worker']
const ways: readonly Way[] = [
  { way: 'process.exit', positions: everywhere, expected: { code: 3, signal: null, out: busy, error: '' } },
  {
    way: 'process.exit in a listener',
    positions: everywhere,
    expected: { code: 4, signal: null, out: busy, error: '' },
  },
  { way: 'uncaught exception', positions: everywhere, expected: { code: 1, signal: null, out: busy } },
  { way: 'unhandled rejection', positions: everywhere, expected: { code: 1, signal: null, out: busy } },
  // a shell says 130, 143 and 137
  { way: 'SIGINT', positions: everywhere, expected: { code: null, signal: 'SIGINT', out: busy, error: '' } },
  { way: 'SIGTERM', positions: everywhere, expected: { code: null, signal: 'SIGTERM', out: busy, error: '' } },
  { way: 'SIGKILL', positions: everywhere, expected: { code: null, signal: 'SIGKILL', out: busy, error: '' } },
  {
    way: 'process.exit in the worker',
    positions: ['worker'],
    expected: { code: 0, signal: null, out: 'the worker ended with 5, here true\n', error: '' },
  },
  {
    way: 'uncaught exception in the worker',
    positions: ['worker'],
    expected: { code: 0, signal: null, out: 'thrown in the worker\nthe worker ended with 1, here true\n', error: '' },
  },
]

/** Does a work until it ends in this way at a random moment. */
async function ended(way: string, work: string, position: string, folder: string): Promise<Ended> {
  const moment = Math.random() * 40
  const { child, ended } = startProgram('ending-program.mjs', [folder, way, work, position, moment])
  if (way.startsWith('SIG')) {
    child.stdout.once('data', () => pause(moment).then(() => child.kill(way as NodeJS.Signals)))
  }
  return ended
}

/** Some at a time. */
async function inLanes<T>(all: readonly T[], body: (one: T) => Promise<void>): Promise<void> {
  const left = all.values()
  const lane = async () => {
    for (const one of left) await body(one)
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane))
}

test.each(ways)(
  '$way, in the midst of a work: the exit code is its own, nothing crashes or hangs',
  async (row) => {
    const folder = newFolder()
    const positions = row.positions.length === 1 ? row.positions : counts.positions
    const cases = counts.ended.flatMap((work) => positions.map((position) => ({ work, position })))
    const tries = Array.from({ length: counts.moments }, () => cases).flat()
    await inLanes(tries, async ({ work, position }) => {
      const { way, expected } = row
      expect({ work, position, ...(await ended(way, work, position, folder)) }).toMatchObject({
        work,
        position,
        ...expected,
      })
    })
  },
  3_600_000,
)
