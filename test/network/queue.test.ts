import { expect, test } from 'vitest'
import type { Layer } from '../../lib/layer.js'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { Tensor } from '../../lib/tensor.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, repeatable } from '../devices.js'
import { parametersOfNet, smallBatch, smallNetOn } from './small.js'

const update = { learningRate: 1e-6, momentum: 0.9, weightDecay: 5e-4 }

/** Pixels that are numbers, but whose sums are not. */
function tooBright(count: number) {
  const random = new Random(9)
  const pixels = Float32Array.from({ length: count * 2 * 8 * 12 }, () => (random.integer(2) === 0 ? -3e38 : 3e38))
  return { images: Tensor.from(pixels, [count, 2, 8, 12]), labels: smallBatch(count).labels }
}

type Call = (net: Network) => Promise<unknown>

const step =
  ({ images, labels }: ReturnType<typeof smallBatch>, options = {}): Call =>
  (net) =>
    net.step(images, labels, { ...update, ...options })
const forward =
  ({ images }: ReturnType<typeof smallBatch>, options = {}): Call =>
  async (net) => [...(await (await net.forward(images, options)).data())]

const [a, b, c] = [smallBatch(12, 1), smallBatch(12, 2), smallBatch(12, 3)]

// On a GPU a call begins while the one before it computes. That must be seen in nothing but time.
const mixed: readonly Call[] = [
  step(a),
  step(tooBright(12)),
  step(b),
  forward(c),
  step(tooBright(12)),
  forward(c),
  step(tooBright(12)),
  step(tooBright(12)),
  step(c, { learningRate: 2e-6 }),
  step(b, { microBatch: 5 }),
  step(tooBright(12), { microBatch: 5 }),
  step(a, { microBatch: 5 }),
  step(smallBatch(5, 4)),
  forward(a, { training: true }),
  step(c, { rateFactors: { fc6: 0 } }),
  async (net) => Object.keys(await net.features(a.images, ['conv2_1'])),
  step(a),
  forward(tooBright(12)),
  step(b),
  (net) => net.setTrainingStep(40),
  step(c),
  step(tooBright(5)),
]

const outcome = (call: Promise<unknown>): Promise<unknown> =>
  call.catch((error) => ({ code: error.code, message: error.message }))

async function stateOf(net: VGG) {
  const velocities = net.parameters.map(async ({ name }) => [...(await (await net.velocity(name)).data())])
  return [net.trainingStep, await parametersOfNet(net), await Promise.all(velocities)]
}

describeOnEach('calls that are made together', (device) => {
  test('reach the device while the call before them computes', { timeout: 60_000 }, async (context) => {
    if (device === 'cpu') context.skip('a call on the CPU has ended when the next one begins')
    const net = await smallNetOn(device)()
    for (let times = 0; times < 3; times++) await step(a)(net)
    // again, because a busy machine may be too late
    for (let ahead = false; !ahead; ) {
      await net.queueTimes()
      await Promise.all(Array.from({ length: 10 }, () => step(a)(net)))
      ahead = (await net.queueTimes()).some(({ emptyUs }) => emptyUs === 0)
    }
    net.dispose()
  })

  // These travel beside the calls, those of a net above do not.
  test('have their own images, however large', async () => {
    const layers = [
      { kind: 'input', channels: 2, mean: [127, 127], scale: [0.01, 0.01] },
      ...['pool1', 'pool2', 'pool3'].map((name) => ({ kind: 'max-pool', name }) as const),
      { kind: 'convolution', name: 'conv', outputs: 5, kernel: 1 },
      { kind: 'spatial-mean', name: 'mean' },
    ] as const satisfies readonly Layer[]
    const open = () => Network.create({ layers, ...repeatable(device), initialisation: 'he', seed: 1 })
    const batches = [0, 100, 200].map((level) => ({
      images: Tensor.randn([6, 2, 200, 150], { seed: level, mean: level, std: 60 }),
      labels: [0, 1, 2, 3, 4, 0],
    }))
    const calls = Array.from({ length: 10 }, (_, index) => (index % 5 < 3 ? step : forward)(batches[index % 3]!))
    const [awaited, together] = [await open(), await open()]
    for (const net of [awaited, together])
      for (let times = 0; times < 3; times++)
        for (const call of [step(batches[0]!), forward(batches[0]!)]) await call(net)
    const expected: unknown[] = []
    for (const call of calls) expected.push(await call(awaited))
    expect(await Promise.all(calls.map((call) => call(together)))).toEqual(expected)
    for (const net of [awaited, together]) net.dispose()
  })

  test('have the answers, errors and effects of calls that are awaited', { timeout: 60_000 }, async () => {
    const open = () => smallNetOn(device)({ dropout: 0.5, scale: 1 })
    const [awaited, together] = [await open(), await open()]
    // what is new to a network, or still to be recorded, is not begun before its turn
    for (const net of [awaited, together])
      for (let times = 0; times < 3; times++)
        for (const call of [step(a), forward(a), step(a, { microBatch: 5 }), step(smallBatch(5))]) await call(net)

    const expected: unknown[] = []
    for (const call of mixed) expected.push(await outcome(call(awaited)))
    const found = await Promise.all(mixed.map((call) => outcome(call(together))))

    expect(found).toEqual(expected)
    expect(await stateOf(together)).toEqual(await stateOf(awaited))
    const messages = (expected as ({ message?: string } | undefined)[]).flatMap((each) => each?.message ?? [])
    expect(messages).toHaveLength(6)
    for (const message of messages)
      expect(message).toMatch(/^training step \d+ .* the first: the output of layer 'conv1_1/)
    for (const net of [awaited, together]) net.dispose()
  })
})
