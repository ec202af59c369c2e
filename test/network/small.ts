import { spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { Random } from '../../lib/random.js'
import { Tensor } from '../../lib/tensor.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { repeatable, type TestDevice } from '../opening.js'

export const smallOptions = {
  variant: { name: 'small', channels: [4, 8], blocks: [[3], [3, 3]] },
  classes: 5,
  channels: 2,
  imageSize: [8, 12],
  headWidth: 16,
  device: 'cpu',
  threads: 1,
  seed: 3,
} as const satisfies VggOptions

/** A net of a few hundred parameters, on the cpu. */
export const smallNet = (options: Partial<VggOptions> = {}): Promise<VGG> => VGG.create({ ...smallOptions, ...options })

/** The same net on any device. */
export const smallNetOn =
  (device: TestDevice) =>
  (options: Partial<VggOptions> = {}): Promise<VGG> =>
    smallNet({ ...repeatable(device), ...options })

/** Images for this network, and their labels. */
export function smallBatch(count: number, seed = 1) {
  const random = new Random(seed)
  return {
    images: Tensor.randn([count, 2, 8, 12], { seed, mean: 127, std: 60 }),
    labels: Array.from({ length: count }, () => random.integer(5)),
  }
}

/** All parameters, read at the call. */
export async function parametersOfNet(net: VGG): Promise<Record<string, Float32Array>> {
  const read = net.parameters.map(async ({ name }) => [name, await (await net.parameter(name)).data()] as const)
  return Object.fromEntries(await Promise.all(read))
}

/** The largest difference of two arrays, as a share of the largest value. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let [largest, apart] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(b[i] ?? 0))
    // NaN equals nothing
    const gap = Math.abs((a[i] ?? Number.NaN) - (b[i] ?? Number.NaN))
    apart = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : Math.max(apart, gap)
  }
  return apart === 0 ? 0 : apart / largest
}

/** Runs a program (the body of a module that may import from 'vggnet-lib/...') in a new process. */
export async function runProgram(
  body: string,
): Promise<{ code: number | null; signal: string | null; out: string; error: string }> {
  const program = body
    .replaceAll('vggnet-lib/', `${pathToFileURL('lib')}/`)
    .replaceAll('vggnet-test/', `${pathToFileURL('test')}/`)
  const words = ['--expose-gc', '--import', 'tsx', '--input-type=module', '--eval', program]
  const child = spawn(process.execPath, words)
  const [out, error]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (data: Buffer) => out.push(data))
  child.stderr.on('data', (data: Buffer) => error.push(data))
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exit, by) => resolve([exit, by]))
  })
  return { code, signal, out: Buffer.concat(out).toString(), error: Buffer.concat(error).toString() }
}
