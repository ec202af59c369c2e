// node life-program.mjs PART [FOLDER]: one part of a process's life.
import { execFileSync, fork } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Tensor, VGG } from 'vggnet'
import { options } from './small-net.mjs'
import { imagesOf } from './work.mjs'

const [part, folder] = process.argv.slice(2)
const update = { learningRate: 0.01 }
const step = (net) => net.step(imagesOf(4), [0, 1, 2, 3], update)
const codes = (results) => results.map(({ reason }) => reason?.code ?? 'done')
const secondsOf = ({ user, system }) => (user + system) / 1e6

const parts = {
  // nobody waits for the steps, and nobody disposes of the net
  async 'natural end'() {
    const net = await VGG.create(options)
    let done = 0
    process.on('beforeExit', () => console.log(`beforeExit after ${done}`))
    for (let time = 0; time < 8; time++) step(net).then(() => done++)
  },
  // the process's threads, before and after ten nets of one thread have worked
  async 'threads of nets'() {
    const threads = () => readdirSync('/proc/self/task').length
    const own = { ...options, threads: 1 }
    const first = await VGG.create(own)
    await step(first)
    const before = threads()
    const nets = await Promise.all(Array.from({ length: 10 }, () => VGG.create(own)))
    await Promise.all(nets.map(step))
    await Promise.all(nets.map((net) => net.parameter('conv1_1.weight')))
    const during = threads() - before
    for (const net of nets) net.dispose()
    for (let time = 0; time < 100 && threads() > before; time++) await new Promise((done) => setTimeout(done, 20))
    console.log(JSON.stringify([during, threads() - before]))
  },
  // what is pending is asked for again when the process was about to end
  async 'work from beforeExit'() {
    const net = await VGG.create(options)
    process.once('beforeExit', async () => console.log((await step(net)).loss > 0))
  },
  async disposal() {
    const net = await VGG.create(options)
    const before = Array.from({ length: 6 }, () => step(net))
    await before[0]
    net.dispose()
    net.dispose()
    const after = [step(net), net.forward(imagesOf(1)), net.parameter('conv1_1.weight'), net.update(update)]
    const all = await Promise.all([before, after].map((calls) => Promise.allSettled(calls)))
    console.log(JSON.stringify(all.map(codes)))
    net.dispose()
  },
  // an exit in the midst of a step of seconds
  async 'a long step'() {
    const net = await VGG.create({ variant: 'A', classes: 10, imageSize: 64, device: 'cpu', threads: 1, headWidth: 64 })
    const images = Tensor.zeros([24, 3, 64, 64])
    const labels = new Int32Array(24)
    await net.step(images, labels, update)
    const [start, time] = [process.cpuUsage(), performance.now()]
    await net.step(images, labels, update)
    const step = secondsOf(process.cpuUsage(start))
    net.step(images, labels, update)
    setTimeout(
      () => {
        console.log(JSON.stringify({ step, used: secondsOf(process.cpuUsage()) }))
        process.exit(0)
      },
      (performance.now() - time) / 4,
    )
  },
  // where the system gives no more threads
  async 'no thread'() {
    const net = await VGG.create(options)
    const held = Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
    // less than the stack of a thread
    execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${held + 7 * 2 ** 20}:`])
    const results = await Promise.allSettled([VGG.create(options), VGG.create(options), VGG.create(options)])
    execFileSync('prlimit', ['--pid', `${process.pid}`, '--as=unlimited:'])
    const loss = (await step(net)).loss
    const later = await VGG.create(options)
    console.log(JSON.stringify([codes(results), loss > 0, (await step(later)).loss > 0]))
  },
  // dies, and leaves a child behind that computes
  parent() {
    const child = fork(fileURLToPath(import.meta.url), ['child', folder], { execArgv: [] })
    child.on('message', () => process.kill(process.pid, 'SIGKILL'))
  },
  async child() {
    const net = await VGG.create(options)
    let alone = false
    process.once('disconnect', () => {
      alone = true
    })
    for (let time = 0; !alone; time++) {
      const done = step(net)
      if (time === 2) process.send('busy')
      await done
    }
    const last = await step(net)
    process.on('exit', (code) => writeFileSync(path.join(folder, 'left'), JSON.stringify([code, last.loss > 0])))
  },
}

await parts[part]()
