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

  it('computes a step outside the thread of JavaScript, which takes no share of the work', async () => {
    const out = await outputOf(`
      import { readFileSync } from 'node:fs'
      // processor time in ticks: unlike the delay of a timer it does not depend on what else the machine does
      const ticksIn = (file) => {
        const fields = readFileSync(file, 'utf8').split(') ')[1].split(' ')
        return Number(fields[11]) + Number(fields[12])
      }
      const ticks = () => [\`/proc/self/task/\${process.pid}/stat\`, '/proc/self/stat'].map(ticksIn)
      const net = await VGG.create(large)
      const images = Tensor.randn([32, 3, 64, 64], { seed: 1 })
      const labels = new Int32Array(32)
      await net.step(images, labels, update)
      const before = ticks()
      while (ticks()[1] - before[1] < 100) await net.step(images, labels, update)
      const [own, all] = ticks().map((after, index) => after - before[index])
      console.log(own / all)`)
    expect(Number(out)).toBeLessThan(0.1)
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

  it('does not grow over 2,000 steps, nor over 60 networks', async (context) => {
    skipOnStandIn(context, 'its memory is the process’s own')
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
