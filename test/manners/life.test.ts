import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'
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

test('process.exit waits for a layer, not for a step', () => {
  // processor time, which does not depend on what else the machine does
  const timed = ['-c', 'TIMEFORMAT="%U %S"; time "$0" "$@"', process.execPath]
  const program = path.join(root, 'test/manners/life-program.mjs')
  const { status, stdout, stderr } = spawnSync('bash', [...timed, program, 'a long step'], { encoding: 'utf8' })
  expect(status).toBe(0)
  const { step, used } = JSON.parse(stdout)
  const all = stderr.trim().split(' ').map(Number)
  expect((Number(all[0]) + Number(all[1]) - used) / step).toBeLessThan(0.5)
})

test('a system that gives no thread for a net is OUT_OF_MEMORY, and what is there goes on', async () => {
  expect(JSON.parse(await said('no thread'))).toEqual([['OUT_OF_MEMORY', 'OUT_OF_MEMORY', 'OUT_OF_MEMORY'], true, true])
})

test('a process whose parent is killed computes on and ends by itself', async () => {
  const folder = newFolder()
  const { signal } = await startProgram('life-program.mjs', ['parent', folder]).ended
  expect(signal).toBe('SIGKILL')
  const left = path.join(folder, 'left')
  await expect.poll(() => existsSync(left) && readFileSync(left, 'utf8'), { timeout: 300_000 }).toBe('[0,true]')
})
