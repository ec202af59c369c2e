import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decode, encode, type NamedTensor } from '../../lib/checkpoint/safetensors.js'
import { load, save, Tensor, VGG, verify } from '../../lib/index.js'
import { parametersOfNet } from './small.js'

// fc6 is larger than the parts of about 16 MB in which a file is read into the network
const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-parts-'))
const own = path.join(folder, 'own.safetensors')
const foreign = path.join(folder, 'foreign.safetensors')
const here = { device: 'cpu', threads: 1 } as const

let expected: object
beforeAll(async () => {
  const net = await VGG.create({ variant: 'A', width: 0.25, headWidth: 700, classes: 3, seed: 1, ...here })
  await net.setParameter('fc6.bias', Tensor.randn([700], { seed: 2 }))
  expected = await hashes(net)
  await save(net, own)
  net.dispose()
  const { tensors } = decode(readFileSync(own))
  writeFileSync(foreign, encode(tensors.map(asTorchvision)))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A hash of each parameter: millions of values take long to compare. */
async function hashes(net: VGG): Promise<object> {
  const all = Object.entries(await parametersOfNet(net))
  return Object.fromEntries(all.map(([name, values]) => [name, createHash('sha256').update(values).digest('hex')]))
}

/** A tensor by torchvision's name. */
function asTorchvision({ name, ...tensor }: NamedTensor): NamedTensor {
  const [layer = '', part] = name.split('.')
  const convolutions = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'conv4_1', 'conv4_2', 'conv5_1', 'conv5_2']
  const index = [0, 3, 6, 8, 11, 13, 16, 18][convolutions.indexOf(layer)]
  const linear = { fc6: 0, fc7: 3, fc8: 6 }[layer]
  return { name: `${index === undefined ? `classifier.${linear}` : `features.${index}`}.${part}`, ...tensor }
}

describe('a parameter that is read in parts', () => {
  test.each([
    ['of our own', own],
    ['of torchvision', foreign],
  ])('is complete in a network loaded from a file %s', async (_, file) => {
    const sizes: number[] = []
    const net = await load(file, { ...here, onProgress: ({ bytes }) => void sizes.push(bytes) })
    expect(await hashes(net)).toEqual(expected)
    // more calls than parameters: fc6 took several
    expect(sizes.length).toBe(net.parameters.length + 1)
    net.dispose()
  })

  test('of another program is read once by verify, which has the hash of the file', async () => {
    const bytesRead = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
    const whole = readFileSync(foreign)
    const before = bytesRead()
    const { sha256 } = await verify(foreign, here)
    expect(sha256).toBe(createHash('sha256').update(whole).digest('hex'))
    expect(bytesRead() - before).toBeLessThan(1.5 * whole.length)
  })

  test('in a damaged file is refused by its checksum, also where a value of it is not finite', async () => {
    const bytes = readFileSync(own)
    const start = 8 + Number(bytes.readBigUInt64LE())
    const entry = JSON.parse(bytes.toString('utf8', 8, start))['fc6.weight']
    const [begin, end] = entry.data_offsets as [number, number]
    for (const value of [Number.NaN, 1]) {
      for (const at of [begin, end - 4]) {
        const damaged = Buffer.from(bytes)
        damaged.writeFloatLE(value, start + at)
        const file = path.join(folder, 'damaged.safetensors')
        writeFileSync(file, damaged)
        await expect(load(file, here)).rejects.toMatchObject({
          code: 'FILE_FORMAT',
          message: expect.stringContaining('The tensor fc6.weight does not agree with the checksum'),
        })
      }
    }
  })
})
