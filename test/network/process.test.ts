import { availableParallelism } from 'node:os'
import { expect, it } from 'vitest'
import { cards, describeOnEach, repeatable, skipOnStandIn, type TestDevice } from '../devices.js'
import { runProgram } from './small.js'

const prefaceOn = (device: TestDevice) => `
  import { VGG, Tensor } from 'vggnet-lib/index.ts'
  import { smallBatch, smallNetOn } from 'vggnet-test/network/small.ts'
  const smallNet = smallNetOn('${device}')
  const update = { learningRate: 0.01, momentum: 0.9 }
  const large = { variant: 'A', classes: 10, imageSize: 64, ...${JSON.stringify(repeatable(device))}, width: 0.5, headWidth: 256 }
`

const outputOn =
  (device: TestDevice) =>
  async (body: string): Promise<string> => {
    const { code, signal, out, error } = await runProgram(prefaceOn(device) + body)
    expect({ code, signal, error }).toEqual({ code: 0, signal: null, error: '' })
    return out.trim()
  }

// The processor's other manners: test/manners.
describeOnEach('a process', (device) => {
  const outputOf = outputOn(device)

  it('keeps its event loop free during a step: no delay over 50 ms with a core left free', async (context) => {
    skipOnStandIn(context, 'it computes on every core')
    const threads = Math.max(1, availableParallelism() - 1)
    const out = await outputOf(`
      import { monitorEventLoopDelay } from 'node:perf_hooks'
      const net = await VGG.create({ ...large, threads: ${threads} })
      const images = Tensor.randn([32, 3, 64, 64], { seed: 1 })
      const labels = new Int32Array(32)
      await net.step(images, labels, update)
      const delays = []
      // other programs may be running: the best of three rounds shows the library's part
      for (let round = 0; round < 3; round++) {
        const delay = monitorEventLoopDelay({ resolution: 5 })
        const timer = setInterval(() => undefined, 1)
        delay.enable()
        const start = performance.now()
        while (performance.now() - start < 700) await net.step(images, labels, update)
        delay.disable()
        clearInterval(timer)
        delays.push(delay.max / 1e6)
      }
      console.log(Math.min(...delays))`)
    expect(Number(out)).toBeLessThan(50)
  })
})

const onCard = (device: TestDevice) => {
  const outputOf = outputOn(device)

  it('survives a worker thread that is terminated during a step, and can continue', async () => {
    const out = await outputOf(`
      import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(new URL('vggnet-test/network/stepping-worker.mjs'), { execArgv: [], workerData: ${JSON.stringify(repeatable(device))} })
        await once(worker, 'message')
        await new Promise((resolve) => setTimeout(resolve, 20 * round))
        await worker.terminate()
      }
      const net = await smallNet()
      const { images, labels } = smallBatch(4)
      console.log((await net.step(images, labels, update)).loss > 0)`)
    expect(out).toBe('true')
  })

  it('ends cleanly with pending work, by itself and by process.exit', async () => {
    const work = `
      const net = await VGG.create(large)
      const images = Tensor.randn([16, 3, 64, 64], { seed: 1 })
      const steps = Array.from({ length: 4 }, () => net.step(images, new Int32Array(16), update))
      console.log('started')`
    expect(await outputOf(work)).toBe('started')
    expect(await outputOf(`${work}\nprocess.exit(0)`)).toBe('started')
    expect(
      await outputOf(`${work}\nawait steps[0]; net.dispose(); await Promise.allSettled(steps); console.log('ended')`),
    ).toBe('started\nended')
  })

  it('does not grow over 2,000 steps, nor over 60 networks', async () => {
    const out = await outputOf(`
      const { images, labels } = smallBatch(16)
      const net = await smallNet()
      const megabytes = () => process.memoryUsage().rss / 2 ** 20
      for (let i = 0; i < 500; i++) await net.step(images, labels, update)
      const before = megabytes()
      for (let i = 0; i < 2000; i++) await net.step(images, labels, update)
      const steps = megabytes() - before
      const make = async (count) => {
        for (let i = 0; i < count; i++) {
          const other = await VGG.create({ ...large, imageSize: 32 })
          await other.forward(Tensor.zeros([1, 3, 32, 32]))
          other.dispose()
        }
      }
      await make(10)
      const between = megabytes()
      await make(60)
      console.log(JSON.stringify([steps, megabytes() - between]))`)
    const [steps, networks] = JSON.parse(out)
    expect(steps).toBeLessThan(24)
    // each holds 10 MB of weights
    expect(networks).toBeLessThan(100)
  })
}

describeOnEach('a process that computes on a GPU', onCard, cards)
