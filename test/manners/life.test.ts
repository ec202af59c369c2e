import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { startProgram } from './program.js'

async function said(part: string): Promise<string> {
  const { code, signal, out, error } = await startProgram('life-program.mjs', [part]).ended
  expect({ code, signal, error }).toEqual({ code: 0, signal: null, error: '' })
  return out.trim()
}

test('a process ends by itself when pending work is done, with nets that nobody disposed of', async () => {
  expect(await said('natural end')).toBe('beforeExit after 8')
  expect(await said('work from beforeExit')).toBe('true')
})

test('a net disposed of in the midst of its calls finishes each or ends it with DISPOSED, and refuses all others', async () => {
  const [before, after] = JSON.parse(await said('disposal'))
  expect(before.slice(0, 1)).toEqual(['done'])
  expect(before.at(-1)).toBe('DISPOSED')
  expect(new Set(before)).toEqual(new Set(['done', 'DISPOSED']))
  expect(after).toEqual(['DISPOSED', 'DISPOSED', 'DISPOSED', 'DISPOSED'])
})

test('a net of one thread has one thread, and leaves none', async () => {
  expect(JSON.parse(await said('threads of nets'))).toEqual([10, 0])
})

test('process.exit waits for a layer, not for a step', async () => {
  const { ended } = startProgram('life-program.mjs', ['a long step'])
  const { code, out } = await ended
  const { whole, left } = JSON.parse(out)
  expect(code).toBe(0)
  expect((Date.now() - left) / whole).toBeLessThan(0.5)
})

test('a system that gives no thread for a net is OUT_OF_MEMORY, and what is there goes on', async () => {
  expect(JSON.parse(await said('no thread'))).toEqual([['OUT_OF_MEMORY', 'OUT_OF_MEMORY', 'OUT_OF_MEMORY'], true, true])
})

test('a process whose parent is killed computes on and ends by itself', async () => {
  const folder = newFolder()
  const { signal } = await startProgram('life-program.mjs', ['parent', folder]).ended
  expect(signal).toBe('SIGKILL')
  const left = path.join(folder, 'left')
  await expect.poll(() => existsSync(left) && readFileSync(left, 'utf8'), { timeout: 20_000 }).toBe('[0,true]')
})
