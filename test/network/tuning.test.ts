import { afterEach, describe, expect, test } from 'vitest'
import { newestCheckpoint } from '../../lib/checkpoint/checkpoint-folder.js'
import { measureTuning } from '../../lib/measure/tuning.js'
import { describe as describeNetwork } from '../../lib/network/describe.js'
import { Network } from '../../lib/network/network.js'
import { type CpuTuning, native } from '../../lib/platform/native.js'
import { Tensor } from '../../lib/tensor.js'
import { loadTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import { newFolder } from '../setup/folder.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { difference } from './small.js'

// vitest.config.ts turns a kept tuning off
const standard = native().cpuTuning()
afterEach(() => native().setCpuTuning(standard))

const few: CpuTuning = { ownBlock: 65536, sharedBlock: 65536, gradientBlock: 0.125 }
const many: CpuTuning = { ownBlock: 2 ** 24, sharedBlock: 2 ** 28, gradientBlock: 16 }

/** A convolution of 3x3 with the blocks of a tuning. */
async function computed(tuning: CpuTuning, channels: number, side: number) {
  native().setCpuTuning(tuning)
  const each = (value: number) => Array.from({ length: channels }, () => value)
  const layers = [
    { kind: 'input', channels, mean: each(0), scale: each(1) },
    { kind: 'convolution', name: 'conv', outputs: channels, kernel: 3 },
  ] as const
  const shape = [2, channels, side, side]
  const [stage] = describeNetwork({ layers, shape, training: true }).stages.slice(-1)
  const net = await Network.create({ layers, device: 'cpu', threads: 2, initialisation: 'he', seed: 1 })
  try {
    const images = Tensor.randn(shape, { seed: 2 })
    const output = await (await net.forward(images, { training: true })).data()
    await net.backward({ gradient: Tensor.randn(shape, { seed: 3 }) })
    const [weights, bias] = [await net.gradient('conv.weight'), await net.gradient('conv.bias')]
    return { stage, tuning: net.run.tuning, output, gradients: [await weights.data(), await bias.data()] }
  } finally {
    net.dispose()
  }
}

describe('results do not depend on the tuning beyond rounding', () => {
  test.each([
    ['blocks of each thread', 64, 56],
    ['blocks that all threads share', 512, 28],
  ])('%s', async (_, channels, side) => {
    const [one, other] = [await computed(few, channels, side), await computed(many, channels, side)]
    expect([one.tuning, other.tuning]).toEqual([few, many])
    // they are divided differently; one shared block needs no memory for the transformed weights
    expect(one.stage?.algorithm).toContain('winograd')
    expect(other.stage?.workspaceBytes).not.toBe(one.stage?.workspaceBytes)
    expect(Buffer.compare(Buffer.from(one.output.buffer), Buffer.from(other.output.buffer))).toBe(0)
    for (const [index, gradient] of one.gradients.entries())
      expect(difference(gradient, other.gradients[index] ?? [])).toBeLessThan(1e-5)
  })
})

test.each<[string, object]>([
  ['too small a block', { ...standard, ownBlock: 65535 }],
  ['too large a block', { ...standard, sharedBlock: 2 ** 30 + 1 }],
  ['too small a share', { ...standard, gradientBlock: 0.1 }],
  ['too large a share', { ...standard, gradientBlock: 17 }],
  ['no number', { ...standard, gradientBlock: Number.NaN }],
  ['an infinite block', { ...standard, ownBlock: Number.POSITIVE_INFINITY }],
  ['text', { ...standard, ownBlock: '65536' }],
  ['a size missing', { ownBlock: 65536, sharedBlock: 65536 }],
])('%s is refused, and the tuning is as it was', (_, given) => {
  native().setCpuTuning(few)
  expect(() => native().setCpuTuning(given as CpuTuning)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(native().cpuTuning()).toEqual(few)
})

test('a training is not resumed with another tuning, unless that is accepted', async () => {
  const folder = newFolder()
  const [data, options] = [stripes(16, 1), { batch: 8, learningRate: 0.01, seed: 1 }]
  const net = await smallNet()
  await train(net, data, { ...options, epochs: 1, checkpoint: { folder } })
  net.dispose()
  native().setCpuTuning({ ...standard, gradientBlock: 1 })
  const { net: again, state } = await loadTraining((await newestCheckpoint(folder))?.path ?? '')
  const resumed = { ...options, epochs: 2, resume: state }
  await expect(train(again, data, resumed)).rejects.toMatchObject({
    code: 'RESUME_MISMATCH',
    message: expect.stringMatching(/network tuning gradientBlock is 1 and was 2; differences: 'accept'/),
  })
  expect((await train(again, data, { ...resumed, differences: 'accept' })).history).toHaveLength(2)
  again.dispose()
})

describe('measuring', () => {
  test('that is aborted, before or during it, does not change the active tuning', async () => {
    native().setCpuTuning(few)
    await expect(measureTuning({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    const stopping = new AbortController()
    const seen: number[] = []
    const onProgress = (_: string, done: number) => {
      seen.push(done)
      if (done === 1) stopping.abort()
    }
    await expect(measureTuning({ signal: stopping.signal, onProgress })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(seen).toEqual([0, 1])
    expect(native().cpuTuning()).toEqual(few)
  })

  test.each([{ rounds: 0 }, { rounds: 1.5 }, { backgroundLoad: -1 }, { backgroundLoad: 101 }, { round: 1 }])(
    'refuses %j',
    async (options) => {
      await expect(measureTuning(options as object)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    },
  )
})
