import { createConnection, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { VggError } from '../../lib/error.js'
import { Heartbeat } from '../../lib/group/heartbeat.js'

interface Watched {
  readonly heartbeats: readonly Heartbeat[]
  /** Settles with the error that each rank is given, and the rank that is lost. */
  readonly failures: readonly Promise<[error: VggError, lost: number | undefined]>[]
  /** The port of rank 0. */
  readonly port: number
}

/** The heartbeats of several ranks in this process, whose exchanges are made in memory. */
async function watched(size: number, timeout = 60_000): Promise<Watched> {
  let port = 0
  const exchanges: { values: unknown[]; settle: ((all: unknown[]) => void)[] }[] = []
  const opened = Array.from({ length: size }, (_, rank) => {
    let turn = 0
    const gather = <T>(value: T): Promise<T[]> => {
      if (typeof value === 'object' && value !== null && 'port' in value) port = Number(value.port)
      exchanges[turn] ??= { values: [], settle: [] }
      const exchange = exchanges[turn]
      turn += 1
      return new Promise((resolve) => {
        if (exchange === undefined) return
        exchange.values[rank] = value
        exchange.settle.push(resolve as (all: unknown[]) => void)
        if (exchange.settle.length === size) for (const settle of exchange.settle) settle(exchange.values)
      })
    }
    let fail: (failure: [VggError, number | undefined]) => void = () => undefined
    const failure = new Promise<[VggError, number | undefined]>((resolve) => {
      fail = resolve
    })
    const hosts = Array.from({ length: size }, () => 'here')
    const onFailure = (error: VggError, lost: number | undefined) => fail([error, lost])
    return { failure, heartbeat: Heartbeat.open({ rank, hosts, timeout, gather, onFailure }) }
  })
  const heartbeats = await Promise.all(opened.map(({ heartbeat }) => heartbeat))
  return { heartbeats, failures: opened.map(({ failure }) => failure), port }
}

const close = ({ heartbeats }: Watched): void => {
  for (const heartbeat of heartbeats) heartbeat.close()
}

test('an error of one rank reaches all others, with its code and its name', async () => {
  const group = await watched(3)
  await group.heartbeats[1]?.announce(Object.assign(new Error('too large'), { code: 'OUT_OF_MEMORY' }) as VggError)
  for (const rank of [0, 2]) {
    const [error, lost] = (await group.failures[rank]) ?? []
    expect(error).toMatchObject({ code: 'OUT_OF_MEMORY', message: 'rank 1 on here: too large' })
    expect(lost).toBeUndefined()
  }
  close(group)
})

test('a rank that says goodbye is not lost', async () => {
  const group = await watched(2)
  group.heartbeats[1]?.close()
  expect(await Promise.race([group.failures[0], setTimeout(300)])).toBeUndefined()
  close(group)
})

test('strangers are dropped, whatever they send, and the ranks stay connected', async () => {
  const group = await watched(2)
  const ended = (socket: Socket) => new Promise((resolve) => socket.on('close', resolve))
  const texts = ['GET / HTTP/1.1\r\n\r\n', '{"kind":"hello","rank":1,"token":"00000000000000000000000000000000"}\n']
  for (const text of [...texts, '{"kind":"failed","rank":1,"code":"INTERNAL","message":"x"}\n', 'x'.repeat(20_000)]) {
    const socket = createConnection({ host: '127.0.0.1', port: group.port })
    socket.on('error', () => undefined)
    socket.write(text)
    await ended(socket)
  }
  expect(await Promise.race([...group.failures, setTimeout(300)])).toBeUndefined()
  close(group)
})
