import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { batching } from '../../lib/evaluate/batching.js'
import { Tensor } from '../../lib/tensor.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { smallNet } from '../setup/stripes.js'

let net: VGG
beforeAll(async () => {
  net = await smallNet()
})
afterAll(() => net?.dispose())

/** An image of one channel that no other seed has. */
const image = (seed: number, side = 32) =>
  Tensor.from(
    Uint8Array.from({ length: side * side }, (_, index) => (index * (seed + 3)) % 251),
    [1, side, side, 1],
  )
const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed)
const numbers = async (tensor: Tensor<'float32'>) => [...(await tensor.data())]

/** Numbers of images of the network's calls. */
function watched() {
  const calls = vi.spyOn(net, 'forward')
  return {
    sizes: () => calls.mock.calls.map(([images]) => images.shape[0]),
    [Symbol.dispose]: () => calls.mockRestore(),
  }
}

test('computes concurrent requests as batches of few sizes, each with the logits of its own image', async () => {
  using calls = watched()
  const batches = batching(net, { maxBatch: 8 })
  const found = await Promise.all(seeds(21).map((seed) => batches.forward(image(seed))))
  expect(calls.sizes()).toEqual([8, 8, 4, 1])
  for (const [seed, logits] of found.entries()) {
    expect(logits.shape).toEqual([1, 3])
    const alone = await numbers(await net.forward(image(seed)))
    const close = alone.map((value) => expect.closeTo(value, 4))
    expect(await numbers(logits)).toEqual(close)
  }
})

test('waits maxDelayMs for other requests, and no longer once a batch is full', async () => {
  using calls = watched()
  const batches = batching(net, { maxBatch: 4, maxDelayMs: 60_000 })
  const first = batches.forward(image(0))
  await delay(20)
  await Promise.all([first, ...seeds(3).map((seed) => batches.forward(image(seed)))])
  expect(calls.sizes()).toEqual([4])
})

test('answers requests in their order, whatever their number', async () => {
  const batches = batching(net, { maxBatch: 4 })
  const order: number[] = []
  await Promise.all(seeds(50).map((seed) => batches.forward(image(seed)).then(() => order.push(seed))))
  expect(order).toEqual(seeds(50))
})

test('computes images of other sizes and tensors of the inside in batches of their own', async () => {
  const batches = batching(net)
  const [small, map, { pool5 }, { relu7, fc6 }] = await Promise.all([
    batches.forward(image(1)),
    batches.forward(image(1, 64)),
    batches.features(image(1), ['pool5']),
    batches.features(image(1), ['relu7', 'fc6']),
  ])
  expect([small, map, pool5, relu7, fc6].map(({ shape }) => shape)).toEqual([
    [1, 3],
    [1, 3, 2, 2],
    [1, 64, 1, 1],
    [1, 32],
    [1, 32],
  ])
  const alone = await net.features(image(1), ['fc6'])
  expect(await numbers(fc6)).toEqual(await numbers(alone.fc6))
})

test('a wrong request fails alone', async () => {
  const batches = batching(net)
  const right = seeds(3).map((seed) => batches.forward(image(seed)))
  const wrong = [
    batches.forward(image(1, 16)),
    batches.forward(Tensor.from(new Uint8Array(2 * 1024), [2, 32, 32, 1])),
    batches.forward(Tensor.from(new Int32Array(1024), [1, 32, 32, 1])),
    batches.features(image(1), ['pool9' as 'pool5']),
    batches.forward('image.png' as never),
    batches.forward(image(1), { signal: 1 as never }),
  ]
  const codes = (await Promise.allSettled(wrong)).map((one) => one.status === 'rejected' && one.reason.code)
  const invalid = 'INVALID_ARGUMENT'
  expect(codes).toEqual(['SHAPE_MISMATCH', 'SHAPE_MISMATCH', invalid, invalid, invalid, invalid])
  expect((await Promise.all(right)).length).toBe(3)
  expect(batches.size).toBe(0)
})

test('an aborted request leaves its batch, and its promise rejects with the reason', async () => {
  using calls = watched()
  const batches = batching(net)
  const leaving = new AbortController()
  const aborted = batches.forward(image(0), { signal: leaving.signal })
  const others = seeds(2).map((seed) => batches.forward(image(seed)))
  const reason = new Error('the client left')
  leaving.abort(reason)
  expect(batches.size).toBe(2)
  await expect(aborted).rejects.toBe(reason)
  await Promise.all(others)
  expect(calls.sizes()).toEqual([2])
  await expect(batches.forward(image(0), { signal: leaving.signal })).rejects.toBe(reason)
  await expect(batches.forward(image(0), { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
})

test('a request that is aborted while it is computed rejects at once, and the others are answered', async () => {
  const batches = batching(net)
  const leaving = new AbortController()
  const aborted = batches.forward(image(0), { signal: leaving.signal })
  const other = batches.forward(image(1))
  await new Promise(setImmediate)
  leaving.abort()
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
  expect((await other).shape).toEqual([1, 3])
})

test('refuses requests above maxQueue with QUEUE_FULL, until others are answered', async () => {
  const batches = batching(net, { maxQueue: 2 })
  const accepted = seeds(2).map((seed) => batches.forward(image(seed)))
  await expect(batches.forward(image(3))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  await Promise.all(accepted)
  expect((await batches.forward(image(3))).shape).toEqual([1, 3])
})

test('close answers what was accepted, without the delay, and refuses the rest', async () => {
  const batches = batching(net, { maxDelayMs: 60_000, maxBatch: 4 })
  const accepted = seeds(3).map((seed) => batches.forward(image(seed)))
  const closed = batches.close()
  await expect(batches.forward(image(0))).rejects.toMatchObject({ code: 'DISPOSED' })
  await closed
  expect(batches.size).toBe(0)
  expect((await Promise.all(accepted)).length).toBe(3)
  await batches.close()
})

test('a batch that fails rejects its requests, and the next is computed', async () => {
  const batches = batching(net, { maxBatch: 2 })
  const failing = vi.spyOn(net, 'forward').mockRejectedValueOnce(new Error('no memory'))
  const results = await Promise.allSettled(seeds(4).map((seed) => batches.forward(image(seed))))
  failing.mockRestore()
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled'])
  const gone = await smallNet()
  const ofGone = batching(gone)
  gone.dispose()
  await expect(ofGone.forward(image(0))).rejects.toMatchObject({ code: 'DISPOSED' })
})

test('refuses options that it does not know or cannot use', () => {
  expect(() => batching(net, { maxBatch: 0 })).toThrow('maxBatch')
  expect(() => batching(net, { maxDelayMs: 60_001 })).toThrow('maxDelayMs')
  expect(() => batching(net, { maxSize: 3 } as never)).toThrow('maxSize')
  expect(() => batching({} as VGG)).toThrow('net')
})
