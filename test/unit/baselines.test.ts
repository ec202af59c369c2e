import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { type BaselineCommand, BaselineProcess } from '../../bench/baseline-process.mjs'

// Answers with the request and its process id; 'fail' with an error; 'end' by ending.
const script = `
  for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
    const { say } = JSON.parse(line)
    if (say === 'end') {
      console.error('first\\nits last words')
      process.exit(0)
    }
    console.log(JSON.stringify(say === 'fail' ? { error: 'it failed' } : { say, pid: process.pid, policy: process.env.POLICY }))
  }`
const program = `(async () => {${script}})()`

const opened: BaselineProcess[] = []
afterEach(() => {
  for (const baseline of opened.splice(0)) baseline.close()
})

function open(more: Partial<BaselineCommand> = {}): BaselineProcess {
  const baseline = new BaselineProcess({
    program: process.execPath,
    args: ['-e', program],
    between: 'waiting',
    ...more,
  })
  opened.push(baseline)
  return baseline
}

/** R: runs, S: sleeps, T: is stopped. */
const stateOf = (pid: number | undefined) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0]

test('a baseline answers line by line, in the environment that was given', async () => {
  const baseline = open({ environment: { POLICY: 'active' } })
  expect(baseline.pid).toBeUndefined()
  expect(await baseline.ask({ say: 'one' }, 10)).toEqual({ say: 'one', pid: baseline.pid, policy: 'active' })
  expect(await baseline.ask({ say: 'two' }, 10)).toMatchObject({ say: 'two' })
  expect(stateOf(baseline.pid)).not.toBe('T')
})

test('a baseline is stopped between its answers if the command says so', async () => {
  const baseline = open({ between: 'stopped' })
  for (const say of ['one', 'two']) {
    expect(await baseline.ask({ say }, 10)).toMatchObject({ say })
    await expect.poll(() => stateOf(baseline.pid)).toBe('T')
  }
})

test('a baseline that answers with an error continues; a baseline that has ended is started again', async () => {
  const baseline = open()
  await expect(baseline.ask({ say: 'fail' }, 10)).rejects.toThrow('it failed')
  const { pid } = await baseline.ask({ say: 'one' }, 10)
  await expect(baseline.ask({ say: 'end' }, 10)).rejects.toThrow(/ ended: its last words$/)
  expect(baseline.pid).toBeUndefined()
  const again = await baseline.ask({ say: 'two' }, 10)
  expect(again.say).toBe('two')
  expect(again.pid).not.toBe(pid)
})

test('a late baseline is ended, and a missing program is an error at once', async () => {
  const late = open({ args: ['-e', 'setTimeout(() => undefined, 60_000)'] })
  await expect(late.ask({}, 0.2)).rejects.toThrow('no answer')
  expect(late.pid).toBeUndefined()
  await expect(open({ program: '/nowhere/python' }).ask({}, 10)).rejects.toThrow('ENOENT')
})
