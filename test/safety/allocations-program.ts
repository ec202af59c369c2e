// node --import tsx allocations-program.ts FOLDER AMOUNT MOST FAULT WORK...: does each work undisturbed, and then with AMOUNT of the
// faults of its first MOST allocations, spread evenly; or with the one fault of this text, if it is not ''. Prints lines of JSON.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { readImage } from '../../lib/data/images/image.js'
import { messageOf, VggError } from '../../lib/error.js'
import { describe } from '../../lib/network/describe.js'
import { Tensor, valuesOf } from '../../lib/tensor.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { load } from '../../lib/weights/load.js'
import { packed, pixelsOf } from '../setup/photos.js'
import type { Line, Outcome } from './faults-program.js'
import { Control, chosenFaults, type Fault, faultsOf, memoryFaults, textOf } from './faulty.js'

const variant = { name: 'small', channels: [16, 32], blocks: [[3], [3, 3]] } as const
const options = {
  variant,
  classes: 5,
  imageSize: 16,
  headWidth: 32,
  device: 'cpu',
  threads: 2,
  seed: 3,
} as const

const [folder = '', amount = '1', most = '1', only = '', ...names] = process.argv.slice(2)
const file = path.join(folder, 'model.safetensors')
const images = Tensor.randn([4, 3, 16, 16], { seed: 1, mean: 127, std: 60 })
const labels = [0, 1, 2, 3]
const how = { learningRate: 0.01, momentum: 0.9 }
const size = { height: 32, width: 32, channels: 3 } as const
const noise = pixelsOf([60, 80, 3], (row, column, channel) => (row * 7 + column * 13 + channel * 50) % 256)
const [jpeg, png] = [await packed(noise).jpeg().toBuffer(), await packed(noise).png().toBuffer()]

const numbers = (tensor: Tensor): string => valuesOf(tensor).join()

/** All that a network can change. */
async function stateOf(net: VGG): Promise<string> {
  const values: string[] = []
  for (const { name } of net.parameters)
    values.push(numbers(await net.parameter(name)), numbers(await net.velocity(name)))
  return [net.trainingStep, ...values].join(' ')
}

const made = async (): Promise<VGG> => {
  const net = await VGG.create(options)
  // velocities and gradients are allocated
  await net.step(images, labels, how)
  return net
}

/** Something that the addon does with a network; the result is equal for equal networks. */
interface Work {
  /** Makes the network; default: one that has made a step. */
  readonly net?: () => Promise<VGG>
  /** Done before. */
  readonly before?: (net: VGG) => Promise<unknown>
  readonly act: (net: VGG) => Promise<string>
  /** Whether it is made of several calls that change the network, of which some may have been done. */
  readonly parts?: true
}

const fresh = (): Promise<VGG> => VGG.create(options)

async function disposed(making: Promise<VGG>): Promise<string> {
  const net = await making
  try {
    return numbers(await net.forward(images))
  } finally {
    net.dispose()
  }
}

const works: Readonly<Record<string, Work>> = {
  create: { act: () => disposed(VGG.create({ ...options, seed: 4 })) },
  'first forward': { net: fresh, act: async (net) => numbers(await net.forward(images)) },
  forward: { before: (net) => net.forward(images), act: async (net) => numbers(await net.forward(images)) },
  backward: {
    act: async (net) => {
      await net.forward(images, { training: true })
      return String((await net.backward(labels)).loss)
    },
  },
  'first step': { net: fresh, act: async (net) => JSON.stringify(await net.step(images, labels, how)) },
  step: { act: async (net) => JSON.stringify(await net.step(images, labels, how)) },
  update: {
    before: async (net) => {
      await net.forward(images, { training: true })
      await net.backward(labels)
    },
    act: async (net) => String(await net.update(how)),
  },
  'read parameters': { act: stateOf },
  'set parameters': {
    act: async (net) => {
      for (const { name, shape } of net.parameters) await net.setParameter(name, Tensor.randn(shape, { seed: 7 }))
      return ''
    },
    parts: true,
  },
  freeze: {
    act: async (net) => {
      net.freeze(['conv1_1'])
      return JSON.stringify(await net.step(images, labels, how))
    },
    parts: true,
  },
  save: {
    act: async (net) => {
      await save(net, path.join(folder, 'saved'))
      return readFileSync(path.join(folder, 'saved'), 'hex')
    },
  },
  load: { act: () => disposed(load(file, { device: 'cpu', threads: 2 })) },
  describe: {
    act: async () =>
      JSON.stringify(
        describe({
          layers: layersOf({ variant, classes: 5, imageSize: 16, headWidth: 32 }),
          shape: [4, 3, 16, 16],
          training: true,
        }),
      ),
  },
  'decode a JPEG': { act: async () => (await readImage(jpeg, size)).join() },
  'rescale a PNG': { act: async () => (await readImage(png, size)).join() },
}

const control = new Control(process.env.VGGNET_FAULTS ?? '', memoryFaults)
const rejections: unknown[] = []
process.on('unhandledRejection', (error) => rejections.push(error))
const print = (line: Line): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/** The network as it is before the work. */
async function prepared({ net: makes = made, before }: Work): Promise<VGG> {
  const net = await makes()
  await before?.(net)
  return net
}

/** What a work finds, and the network afterwards. */
async function result(net: VGG, { act }: Work): Promise<{ answer: string; after: string }> {
  const answer = await act(net)
  return { answer, after: await stateOf(net) }
}

async function disturbed(
  name: string,
  work: Work,
  fault: Fault,
  reference: { answer: string; before: string; after: string },
): Promise<Outcome> {
  const net = await prepared(work)
  rejections.length = 0
  const wrong: string[] = []
  control.arm(fault)
  const { answer, error } = await work.act(net).then(
    (answer) => ({ answer, error: undefined }),
    (error: unknown) => ({ answer: undefined, error }),
  )
  const { fired } = control.disarm()
  await turn()
  for (const rejection of rejections) wrong.push(`unhandled: ${stackOf(rejection)}`)
  const code = error instanceof VggError ? error.code : 'raw'
  if (error !== undefined && code !== 'OUT_OF_MEMORY') wrong.push(`not OUT_OF_MEMORY: ${stackOf(error)}`)
  if (error === undefined && answer !== reference.answer) wrong.push('another result')
  try {
    if (error === undefined && (await stateOf(net)) !== reference.after) wrong.push('another network')
    if (error !== undefined) {
      // a work of several calls may have done some of them
      if (!work.parts && (await stateOf(net)) !== reference.before) wrong.push('the network has changed')
      const again = await result(net, work)
      if (again.answer !== reference.answer) wrong.push('another result afterwards')
      if (again.after !== reference.after) wrong.push('another network afterwards')
    }
  } catch (error) {
    wrong.push(`afterwards: ${stackOf(error)}`)
  }
  net.dispose()
  return {
    work: name,
    fault: textOf(fault),
    fired: fired > 0,
    result: error === undefined ? 'done' : code,
    message: messageOf(error ?? ''),
    wrong,
  }
}

async function faultsIn(name: string): Promise<void> {
  const work = works[name]
  if (work === undefined) throw new Error(`There is no work ${name}`)
  const net = await prepared(work)
  const before = await stateOf(net)
  control.count()
  const answer = await work.act(net)
  const { calls } = control.disarm()
  const reference = { answer, before, after: await stateOf(net) }
  net.dispose()
  const all = faultsOf(
    memoryFaults,
    calls.map((count) => Math.min(count, Number(most))),
  )
  print({ work: name, calls: calls.reduce((sum, count) => sum + count, 0), faults: all.length })
  for (const fault of chosenFaults(all, Number(amount), only)) {
    print({ begins: `${name}: ${textOf(fault)}` })
    print(await disturbed(name, work, fault, reference))
  }
}

await save(await made(), file)
for (const name of names.length > 0 ? names : Object.keys(works)) await faultsIn(name)
control.close()
process.exit(0)
