import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { type PeerCommand, PeerProcess } from '../../bench/peer-process.js'

// Answers with what it was asked and its process; 'fail' with an error; 'end' by ending.
const script = `
  for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
    const { say } = JSON.parse(line)
    if (say === 'end') process.exit(0)
    console.log(JSON.stringify(say === 'fail' ? { error: 'it failed' } : { say, pid: process.pid, policy: process.env.POLICY }))
  }`
const program = `(async () => {${script}})()`

const opened: PeerProcess[] = []
afterEach(() => {
  for (const peer of opened.splice(0)) peer.close()
})

function open(more: Partial<PeerCommand> = {}): PeerProcess {
  const peer = new PeerProcess({ program: process.execPath, words: ['-e', program], between: 'waiting', ...more })
  opened.push(peer)
  return peer
}

/** R: runs, S: sleeps, T: is stopped. */
const stateOf = (pid: number | undefined) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0]

test('a peer answers line by line, in an environment of its own', async () => {
  const peer = open({ environment: { POLICY: 'active' } })
  expect(peer.pid).toBeUndefined()
  expect(await peer.ask({ say: 'one' }, 10)).toEqual({ say: 'one', pid: peer.pid, policy: 'active' })
  expect(await peer.ask({ say: 'two' }, 10)).toMatchObject({ say: 'two' })
  expect(stateOf(peer.pid)).not.toBe('T')
})

test('a peer that is to be stopped stands still between its answers', async () => {
  const peer = open({ between: 'stopped' })
  for (const say of ['one', 'two']) {
    expect(await peer.ask({ say }, 10)).toMatchObject({ say })
    await expect.poll(() => stateOf(peer.pid)).toBe('T')
  }
})

test('a peer that says no is asked again; one that ended is started anew', async () => {
  const peer = open()
  await expect(peer.ask({ say: 'fail' }, 10)).rejects.toThrow('it failed')
  const { pid } = await peer.ask({ say: 'one' }, 10)
  await expect(peer.ask({ say: 'end' }, 10)).rejects.toThrow('ended')
  expect(peer.pid).toBeUndefined()
  const again = await peer.ask({ say: 'two' }, 10)
  expect(again.say).toBe('two')
  expect(again.pid).not.toBe(pid)
})

test('a peer that is late is ended, and one that is not there is said at once', async () => {
  const late = open({ words: ['-e', 'setTimeout(() => undefined, 60_000)'] })
  await expect(late.ask({}, 0.2)).rejects.toThrow('no answer')
  expect(late.pid).toBeUndefined()
  await expect(open({ program: '/nowhere/python' }).ask({}, 10)).rejects.toThrow('ENOENT')
})
