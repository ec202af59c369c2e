// What takes a real card, minutes, or all of its memory; scripts/gpu-check runs it, with nothing beside it.
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Tensor } from '../../lib/tensor.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { smallBatch, smallNet } from '../network/small.js'

const run = promisify(execFile)
const smallProgram = fileURLToPath(new URL('../../scripts/gpu/small-net.mjs', import.meta.url))
const how = { learningRate: 1e-3, momentum: 0.9, weightDecay: 5e-4 }

const program = (env: Record<string, string> = {}) =>
  run(process.execPath, [smallProgram, 'quick'], { env: { ...process.env, ...env }, timeout: 170_000 })

/** A net on the card that is freed with the test. */
async function netOnCard(options: Omit<VggOptions, 'device'>): Promise<VGG> {
  const net = await VGG.create({ ...options, device: 'cuda' })
  onTestFinished(() => net.dispose())
  return net
}

const usedMegabytes = (): number => {
  const words = ['--query-gpu=memory.used', '--format=csv,noheader,nounits']
  return Number(execFileSync('nvidia-smi', words, { encoding: 'utf8' }).split('\n')[0])
}

describe.skipIf(!process.env.VGGNET_CARD)('a card', () => {
  const digits = { variant: 'A', classes: 10, imageSize: 32, width: 0.25, headWidth: 64, seed: 5 } as const

  async function trained(precision: 'bf16' | 'float32'): Promise<Float32Array[]> {
    const net = await netOnCard({ ...digits, initialisation: 'he', precision, deterministic: true })
    for (let step = 0; step < 100; step++) {
      const images = Tensor.randn([16, 3, 32, 32], { seed: step, mean: 127, std: 60 })
      const labels = Array.from({ length: 16 }, (_, index) => (index * 7 + step) % 10)
      await net.step(images, labels, how)
    }
    const values: Float32Array[] = []
    for (const { name } of net.parameters) values.push(await (await net.parameter(name)).data())
    return values
  }

  test.each(['bf16', 'float32'] as const)('repeats 100 deterministic steps bit for bit (%s)', async (precision) => {
    const [one, other] = [await trained(precision), await trained(precision)]
    expect(one.every((values, index) => Buffer.from(values.buffer).equals(Buffer.from(other[index]!.buffer)))).toBe(
      true,
    )
    expect(one.every((values) => values.every(Number.isFinite))).toBe(true)
  })

  test('makes 5,000 small steps without growing', async () => {
    const net = await smallNet({ device: 'cuda' })
    onTestFinished(() => net.dispose())
    const { images, labels } = smallBatch(4)
    const steps = async (count: number) => {
      for (let step = 0; step < count; step++) await net.step(images, labels, how)
      return { card: usedMegabytes(), host: process.memoryUsage().rss / 2 ** 20 }
    }
    const before = await steps(500)
    const after = await steps(4500)
    expect(after.card - before.card).toBeLessThanOrEqual(16)
    expect(after.host - before.host).toBeLessThan(150)
  })

  test('is given back what nets took', async () => {
    const round = async () => {
      const net = await VGG.create({ ...digits, device: 'cuda' })
      await net.step(Tensor.randn([64, 3, 32, 32], { seed: 1 }), new Int32Array(64), how)
      net.dispose()
    }
    await round()
    const before = usedMegabytes()
    for (let times = 0; times < 20; times++) await round()
    expect(usedMegabytes() - before).toBeLessThanOrEqual(64)
  })

  test('says OUT_OF_MEMORY for a batch that does not fit, and goes on with one that does', async () => {
    // sixty tensors of 3.3 GB in bf16; each has fewer than 2^31 elements
    const variant = { name: 'deep', channels: [64, 64], blocks: [Array<3>(60).fill(3), [3 as const]] }
    const net = await netOnCard({ variant, classes: 10, headWidth: 8, imageSize: 224, initialisation: 'he' })
    const large = Tensor.from(new Uint8Array(512 * 224 * 224 * 3), [512, 224, 224, 3])
    await expect(net.step(large, new Int32Array(512), how)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' })
    const small = Tensor.from(new Uint8Array(2 * 224 * 224 * 3), [2, 224, 224, 3])
    expect((await net.step(small, new Int32Array(2), how)).loss).toBeGreaterThan(0)
  })

  test('that is not there is DEVICE_UNAVAILABLE', async () => {
    await expect(VGG.create({ ...digits, device: 'cuda:99' })).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' })
    await expect(program({ CUDA_VISIBLE_DEVICES: '' })).rejects.toMatchObject({
      stderr: expect.stringContaining('DEVICE_UNAVAILABLE'),
    })
  })

  test('serves two processes at once', async () => {
    const both = await Promise.all([program(), program()])
    expect(both.every(({ stdout }) => stdout.includes('on cuda:0'))).toBe(true)
  })

  test('goes on when plans on disk are cut short or changed', async () => {
    const cache = mkdtempSync(path.join(tmpdir(), 'vggnet-plans-'))
    onTestFinished(() => rmSync(cache, { recursive: true, force: true }))
    await program({ VGGNET_CACHE: cache })
    const plans = readdirSync(path.join(cache, 'plans')).map((name) => path.join(cache, 'plans', name))
    expect(plans.length).toBeGreaterThan(0)
    for (const plan of plans) truncateSync(plan, Math.floor(statSync(plan).size / 2))
    expect((await program({ VGGNET_CACHE: cache })).stdout).toContain('on cuda:0')
  })

  test('outlives a worker thread that is terminated in mid-step', async () => {
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(new URL('training-worker.mjs', import.meta.url), { execArgv: [] })
      await once(worker, 'message')
      await new Promise((resolve) => setTimeout(resolve, 10 * round))
      await worker.terminate()
    }
    const net = await netOnCard(digits)
    expect((await net.step(Tensor.randn([4, 3, 32, 32], { seed: 1 }), [0, 1, 2, 3], how)).loss).toBeGreaterThan(0)
  })
})
