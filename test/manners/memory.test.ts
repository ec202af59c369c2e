import { expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { counts } from './counts.js'
import { startProgram } from './program.js'

// V8's young generation would grow from 2 to 32 MB in the course of this, and hide what is looked for.
const flags = ['--expose-gc', '--max-semi-space-size=4']
// malloc gives threads heaps of their own, up to eight for each processor, and each keeps what it once had: a scatter of
// 3 %, no growth.
const env = { MALLOC_ARENA_MAX: '1' }

test.each(counts.memory)(
  '$count times $work leave resident memory within $percent %',
  async (row) => {
    const words = [newFolder(), row.work, row.warm, row.count]
    const { ended } = startProgram('memory-program.mjs', words, { flags, env, limit: 3_000_000 })
    const { code, signal, out, error } = await ended
    expect({ code, signal, error }).toEqual({ code: 0, signal: null, error: '' })
    const { before, after, peak, seconds } = JSON.parse(out)
    const megabytes = [before, after, peak].map((value) => value.toFixed(1))
    console.log(
      `${row.count} "${row.work}": ${megabytes.slice(0, 2).join(' -> ')} MB, peak ${megabytes[2]}, ${seconds.toFixed(0)} s`,
    )
    expect(after / before).toBeLessThan(1 + row.percent / 100)
  },
  3_600_000,
)
