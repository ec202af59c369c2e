import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { VGG } from '../../lib/index.js'
import { Network } from '../../lib/network/network.js'
import { native } from '../../lib/platform/native.js'
import { Tensor } from '../../lib/tensor.js'
import { cards, describeOnEach, opening, precisionOf, skipOnStandIn } from '../devices.js'
import { parametersOfNet, smallBatch, smallNet, smallNetOn } from './small.js'

const update = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 }
const withCode = (code: string) => expect.objectContaining({ name: 'VggError', code })

describeOnEach('repeatable', (device) => {
  test('100 steps of two runs are equal bit for bit, dropout and schedule included', async () => {
    const run = async () => {
      const net = await smallNetOn(device)()
      const losses: number[] = []
      for (let step = 0; step < 100; step++) {
        // occasionally a smaller last batch, and another learning rate
        const { images, labels } = smallBatch(step % 10 === 9 ? 5 : 12, step)
        const learningRate = 0.01 / (1 + Math.floor(step / 30))
        losses.push((await net.step(images, labels, { ...update, learningRate })).loss)
      }
      const parameters = await parametersOfNet(net)
      net.dispose()
      return { losses, parameters }
    }
    const [first, second] = [await run(), await run()]
    expect(second.losses).toEqual(first.losses)
    for (const [name, values] of Object.entries(first.parameters))
      expect(Buffer.from(second.parameters[name]!.buffer).equals(Buffer.from(values.buffer)), name).toBe(true)
    expect(first.losses.every(Number.isFinite)).toBe(true)
  })
})

describeOnEach(
  'a GPU',
  (device) => {
    const open = smallNetOn(device)
    const held = (): number => {
      const [{ bytes, freeBytes }] = native().cudaReport().cards
      return bytes - freeBytes
    }

    test('reports its device and precision', async () => {
      const net = await open()
      expect(net.device).toBe('cuda:0')
      expect(net.precision).toBe(precisionOf(device))
      net.dispose()
    })

    test('has the same ten losses as the CPU', async () => {
      const nets = [await smallNet({ dropout: 0.5 }), await open({ dropout: 0.5 })] as const
      const { images, labels } = smallBatch(12)
      const losses = { cpu: [] as number[], card: [] as number[] }
      for (let step = 0; step < 10; step++) {
        losses.cpu.push((await nets[0].step(images, labels, update)).loss)
        losses.card.push((await nets[1].step(images, labels, update)).loss)
      }
      const allowed = device === 'cuda-bf16' ? 0.05 : 1e-4
      losses.cpu.forEach((loss, step) => {
        expect(Math.abs((losses.card[step] ?? Number.NaN) / loss - 1), `step ${step}`).toBeLessThan(allowed)
      })
      for (const net of nets) net.dispose()
    })

    // A recorded step with a value in it instead of its address would repeat the value of the first.
    test('applies rate, momentum, decay, dropout and frozen layers of each step', async () => {
      const net = await open()
      const { images, labels } = smallBatch(12)
      const change = async (options: object): Promise<number> => {
        const before = await parametersOfNet(net)
        await net.step(images, labels, { learningRate: 0, momentum: 0, ...options })
        const after = await parametersOfNet(net)
        const change = (name: string) =>
          Math.max(...after[name]!.map((value, i) => Math.abs(value - before[name]![i]!)))
        return Math.max(...Object.keys(after).map(change))
      }
      for (let step = 0; step < 4; step++) {
        const slow = await change({ learningRate: 1e-4 })
        const fast = await change({ learningRate: 1e-1 })
        expect(fast / slow).toBeGreaterThan(50)
        expect(await change({ learningRate: 1e-12, weightDecay: 0 })).toBeLessThan(1e-8)
        expect(await change({ learningRate: 1e-12, momentum: 0.9 })).toBeLessThan(1e-8)
      }
      net.freeze(['conv1_1', 'conv2_1', 'conv2_2', 'fc6', 'fc7', 'fc8'])
      expect(await change({ learningRate: 1 })).toBe(0)
      net.unfreeze()
      expect(await change({ learningRate: 1e-2 })).toBeGreaterThan(0)
      net.dispose()
    })

    test('refuses a batch that does not fit, names bytes and the largest that fits, and continues', async () => {
      // 3 to 7 gigabytes each, all of which the backward pass reads
      const convolutions = Array.from({ length: 48 }, (_, i) => {
        return { kind: 'convolution', name: `conv${i}`, outputs: 32, kernel: 1, relu: `relu${i}` } as const
      })
      const layers = [{ kind: 'input', channels: 1, mean: [0], scale: [1] }, ...convolutions] as const
      using net = await Network.create({ layers, ...opening[device], initialisation: 'he' })
      const imagesOf = (count: number) => Tensor.zeros([count, 128, 128, 1], { dtype: 'uint8' })
      const far = net.forward(imagesOf(3200), { training: true })
      await expect(far).rejects.toThrow(withCode('OUT_OF_MEMORY'))
      const { message } = await far.catch((error) => error)
      expect(message).toMatch(/takes \d{12} bytes/)
      const [, largest] = /the largest batch that fits is (\d+)/.exec(message) ?? []
      expect(Number(largest), message).toBeGreaterThan(1)
      const { shape } = await net.forward(imagesOf(1), { training: true })
      expect(shape).toEqual([1, 32, 128, 128])
    })

    test('refuses a batch with a tensor of 2^31 elements, names it and the largest batch, and continues', async () => {
      const layers = [
        { kind: 'input', channels: 1, mean: [0], scale: [1] },
        { kind: 'convolution', name: 'wide', outputs: 1020, kernel: 1 }, // stored as 1024
        { kind: 'max-pool', name: 'pool' },
      ] as const
      using net = await Network.create({ layers, ...opening[device], initialisation: 'he' })
      const forward = (count: number, side: number) =>
        net.forward(Tensor.zeros([count, side, side, 1], { dtype: 'uint8' }))
      const far = forward(8, 512) // 2^31
      await expect(far).rejects.toThrow(withCode('INVALID_ARGUMENT'))
      await expect(far).rejects.toThrow(/at most 7 images of 512x512 .* but received 8: the output of 'wide' has shape/)
      expect((await forward(1, 8)).shape).toEqual([1, 1020, 4, 4])
    })

    test('releases the memory of a network', async () => {
      const work = async () => {
        const net = await open()
        const { images, labels } = smallBatch(12)
        await net.step(images, labels, update)
        await net.forward(images)
        net.dispose()
      }
      // the network's thread releases its memory some time after dispose has returned
      const settled = async (): Promise<number> => {
        for (let last = held(); ; ) {
          await delay(200)
          const now = held()
          if (now === last) return now
          last = now
        }
      }
      for (let times = 0; times < 3; times++) await work()
      const before = await settled()
      for (let times = 0; times < 20; times++) await work()
      expect((await settled()) - before).toBeLessThan(64 * 2 ** 20)
    })

    test('uses no more memory after 5,000 steps', { timeout: 240_000 }, async (context) => {
      if (device === 'cuda') skipOnStandIn(context, 'bf16 takes the same way')
      const net = await open()
      const { images, labels } = smallBatch(4)
      const steps = async (count: number) => {
        for (let step = 0; step < count; step++) await net.step(images, labels, { ...update, learningRate: 1e-4 })
        return { host: process.memoryUsage().rss / 2 ** 20, card: held() / 2 ** 20 }
      }
      const before = await steps(500)
      const after = await steps(4500)
      net.dispose()
      expect(after.card - before.card).toBeLessThan(16)
      expect(after.host - before.host).toBeLessThan(64)
    })

    test.each(['cuda:1', 'cuda:99'] as const)('%s does not exist', async (number) => {
      if (number === 'cuda:1' && native().cudaReport().cards.length > 1) return
      const made = VGG.create({ variant: 'A', classes: 2, imageSize: 32, device: number })
      await expect(made).rejects.toThrow(withCode('DEVICE_UNAVAILABLE'))
      await expect(made).rejects.toThrow(/cuda:\d+' is not/)
    })
  },
  cards,
)
