import { expect, test } from 'vitest'
import { isWhole } from '../setup/amount.js'
import { newFolder } from '../setup/folder.js'
import { counts } from './counts.js'
import { startProgram } from './program.js'

test(`eight worker threads load it at once, others are terminated ${counts.terminations} times in mid-work: all else is right`, async () => {
  const words = [newFolder(), counts.loads, counts.terminations, ...counts.terminated]
  const { ended } = startProgram('threads-program.mjs', words, { flags: ['--expose-gc'], limit: 3_000_000 })
  const { code, signal, out, error } = await ended
  expect({ code, signal, error }).toEqual({ code: 0, signal: null, error: '' })
  const { answers, memory } = JSON.parse(out)
  // the same bits in every thread
  expect(answers.length).toBe(1)
  expect(JSON.parse(answers[0]).logits.every(Number.isFinite)).toBe(true)
  for (const { work, before, after } of memory) {
    if (isWhole) console.log(`${counts.terminations} terminated in "${work}": ${before} -> ${after} MB`)
    expect(after - before, work).toBeLessThan(25)
  }
}, 3_600_000)
