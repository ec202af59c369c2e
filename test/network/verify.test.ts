import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { Tensor } from '../../lib/tensor.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { verify } from '../../lib/weights/verify/verify.js'
import { vggnet } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { exchanged, trainedFirst } from '../setup/trained-first.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/foreign/${name}`, import.meta.url))

/** Configuration A whose first layer is as wide as in the paper, and the others narrow. */
const variant = { name: 'narrow', channels: [64, 4, 4, 4, 4], blocks: [[3], [3], [3, 3], [3, 3], [3, 3]] } as const

/** Writes a model as of another program, with the first convolution of a trained VGG-16, after changes; returns its path. */
async function trainedModel(
  change: (net: VGG) => Promise<unknown> = async () => undefined,
  scale = 1,
): Promise<string> {
  const size = { imageSize: 32, headWidth: 8, classes: 3, scale }
  const net = await VGG.create({ variant, ...size, initialisation: 'he', seed: 1, device: 'cpu' })
  try {
    const { weight, bias } = trainedFirst()
    await net.setParameter('conv1_1.weight', Tensor.from(weight, [64, 3, 3, 3]))
    await net.setParameter('conv1_1.bias', Tensor.from(bias, [64]))
    net.origin = { source: 'caffe', file: 'narrow.caffemodel' }
    await change(net)
    const file = path.join(newFolder(), 'model.safetensors')
    await save(net, file)
    return file
  } finally {
    net.dispose()
  }
}

/** Changes the elements of a parameter. */
const changed = (name: string, to: (value: number, index: number) => number) => async (net: VGG) => {
  const old = await net.parameter(name)
  await net.setParameter(name, Tensor.from((await old.data()).map(to), old.shape))
}

describe('verify', () => {
  test('a file of Caffe: configuration, hash, figures of parameters and of activities', async () => {
    const found = await verify(golden('caffe-v1.caffemodel'), { device: 'cpu' })
    expect(found.configuration).toMatchObject({ classes: 1000, origin: { source: 'caffe', licence: 'CC-BY-4.0' } })
    expect(found.sha256).toBe(
      createHash('sha256')
        .update(readFileSync(golden('caffe-v1.caffemodel')))
        .digest('hex'),
    )
    expect(found.parameterCount).toBe(67_932)
    expect(found.parameters).toHaveLength(32)
    expect(found.parameters[0]).toMatchObject({ name: 'conv1_1.weight', count: 108, notFinite: 0, zeroOutputs: 0 })
    // uniform in [-0.5, 0.5)
    expect(found.parameters[0]?.deviation).toBeCloseTo(0.29, 1)
    const names = found.fingerprint.map(({ name }) => name)
    expect([names[0], names[12], ...names.slice(-3)]).toEqual(['relu1_1', 'relu5_3', 'relu6', 'relu7', 'fc8'])
    expect(found.fingerprint[0]).toMatchObject({ count: 4 * 64 * 64, dead: 0 })
    expect(found.suspicions).toEqual([])
    expect(found.difference).toBeUndefined()
  })

  test('the fingerprint is the same everywhere', async () => {
    const { fingerprint } = await verify(golden('caffe-v1.caffemodel'), { device: 'cpu', threads: 1 })
    const figures = (name: string) => {
      const layer = fingerprint.find((one) => one.name === name)
      return [layer?.mean, layer?.deviation, layer?.largest].map((value) => Number(value?.toPrecision(4)))
    }
    expect(figures('relu1_1')).toEqual([35.17, 63.24, 516.1])
    expect(figures('fc8')).toEqual([6.107, 357, 1070])
  })

  test('a trained first layer is suspected of what was done to it, and of nothing else', async () => {
    const suspicions = async (...model: Parameters<typeof trainedModel>) =>
      (await verify(await trainedModel(...model), { device: 'cpu' })).suspicions
    expect(await suspicions()).toEqual([])
    const swap = async (net: VGG) =>
      net.setParameter('conv1_1.weight', Tensor.from(exchanged(trainedFirst().weight), [64, 3, 3, 3]))
    expect(await suspicions(swap)).toEqual([expect.stringMatching(/blue, green, red/)])
    expect(await suspicions(undefined, 1 / 58)).toEqual([expect.stringMatching(/scale of the pixels/)])
    expect(await suspicions(changed('conv2_1.bias', () => -1e6))).toEqual([
      'relu2_1 is 0 in nearly all channels on the fixed image',
    ])
    const large = await suspicions(changed('conv2_1.weight', (value) => value * 1e36))
    expect(large).toEqual([expect.stringMatching(/^relu2_1 has \d+ values that are not finite/)])
  })

  test('names what differs from another network, in the order of the layers', async () => {
    const [one, same] = [await trainedModel(), await trainedModel()]
    const equal = { configuration: [], unmatched: [], parameters: [], activities: [] }
    expect((await verify(one, { device: 'cpu', against: same })).difference).toEqual(equal)

    const other = await trainedModel(changed('conv3_2.weight', (value, index) => (index === 7 ? value + 0.5 : value)))
    const difference = (await verify(one, { device: 'cpu', against: other })).difference
    expect(difference?.parameters).toEqual([
      { name: 'conv3_2.weight', largest: expect.closeTo(0.5), relative: expect.closeTo(0.767, 2) },
    ])
    expect(difference?.activities.map(({ name }) => name).slice(0, 2)).toEqual(['relu3_2', 'relu4_1'])
    expect(difference).toMatchObject({ configuration: [], unmatched: [] })

    const scaled = (await verify(one, { device: 'cpu', against: await trainedModel(undefined, 0.5) })).difference
    expect(scaled).toMatchObject({ configuration: ['scale 1,1,1, and 0.5,0.5,0.5'], parameters: [] })
    expect(scaled?.activities[0]?.name).toBe('relu1_1')

    const foreign = (await verify(one, { device: 'cpu', against: golden('caffe-v1.caffemodel') })).difference
    expect(foreign?.configuration[0]).toBe('configuration narrow, and D')
    expect(foreign?.unmatched).toContain('conv1_2.weight')
  })

  test('random initial weights are suspected', async () => {
    const net = await VGG.create({ variant: 'A', classes: 3, imageSize: 32, width: 0.25, headWidth: 64, device: 'cpu' })
    const file = path.join(newFolder(), 'model.safetensors')
    await save(net, file)
    net.dispose()
    expect((await verify(file)).suspicions).toEqual([expect.stringMatching(/random initial/)])
  })
})

test('vggnet verify prints figures, and ends with 1 where anything is suspected or differs', async () => {
  const file = golden('caffe-v1.caffemodel')
  const [equal, other] = await Promise.all([
    vggnet(['verify', file, '--against', file]),
    vggnet(['verify', file, '--against', golden('caffe-face.caffemodel'), '--json']),
  ])
  expect(equal).toMatchObject({ code: 0, stderr: '' })
  expect(equal.stdout).toMatch(/^network +VGG D, 1000 classes, width 0\.0625, 67,932 parameters\npixels +crop 64x64, /)
  expect(equal.stdout).toMatch(/\nsource +caffe, .*\nlicence +CC-BY-4\.0\nSHA-256 +[0-9a-f]{64}\n/)
  for (const row of [/\nconv1_1 +0\.0224 +0\.3\d+ /, /\nrelu1_1 +35\.2 /]) expect(equal.stdout).toMatch(row)
  expect(equal.stdout).toMatch(/\nsuspected +nothing\nagainst +equal: /)
  expect(other).toMatchObject({ code: 1, stderr: '' })
  const { suspicions, difference } = JSON.parse(other.stdout)
  expect(suspicions).toEqual([])
  expect(difference.configuration).toContain('classes 1000, and 2622')
})
